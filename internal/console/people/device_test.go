package people

import (
	"net/http"
	"strings"
	"testing"
)

// TestDevice: headers as browsers document them, and others.
func TestDevice(t *testing.T) {
	const webkit = " AppleWebKit/537.36 (KHTML, like Gecko) "
	for _, tt := range []struct{ agent, brands, want string }{
		{"Mozilla/5.0 (X11; Linux x86_64)" + webkit + "Chrome/142.0.0.0 Safari/537.36", "", "Chromium on Linux"},
		{"Mozilla/5.0 (X11; Linux x86_64)" + webkit + "HeadlessChrome/142.0.0.0 Safari/537.36", `"Chromium";v="142", "HeadlessChrome";v="142"`, "Chromium on Linux"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64)" + webkit + "Chrome/142.0.0.0 Safari/537.36", `"Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"`, "Chrome on Windows"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64)" + webkit + "Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", `"Chromium";v="142", "Microsoft Edge";v="142"`, "Edge on Windows"},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)" + webkit + "Chrome/142.0.0.0 Safari/537.36 OPR/125.0.0.0", "", "Opera on Mac"},
		{"Mozilla/5.0 (Linux; Android 10; K)" + webkit + "Chrome/142.0.0.0 Mobile Safari/537.36", "", "Chromium on Android"},
		{"Mozilla/5.0 (Linux; Android 10; K)" + webkit + "SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36", "", "Samsung Internet on Android"},
		{"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0)" + webkit + "Chrome/142.0.0.0 Safari/537.36", "", "Chromium on ChromeOS"},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", "", "Firefox on Windows"},
		{"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "", "Firefox on Linux"},
		{"Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0", "", "Firefox on Android"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/145.0 Mobile/15E148 Safari/605.1.15", "", "Firefox on iPhone"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0 Mobile/15E148 Safari/604.1", "", "Chrome on iPhone"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1", "", "Safari on iPhone"},
		{"Mozilla/5.0 (iPad; CPU OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) EdgiOS/142.0 Version/19.0 Mobile/15E148 Safari/604.1", "", "Edge on iPad"},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Safari/605.1.15", "", "Safari on Mac"},
		{"Lynx/2.9.0 libwww-FM/2.14", "", "Browser"},
		{"Mozilla/5.0 (X11; Linux x86_64) Dillo/3.2", "", "Browser on Linux"},
		{"", "", "Browser"},
		{"<script>\r\n\x00\xff" + strings.Repeat("x", 1<<20), strings.Repeat("\u202e", 1000), "Browser"},
		{strings.Repeat("Firefox/ Windows ", 10_000), "", "Firefox on Windows"},
	} {
		if got := device(http.Header{"User-Agent": {tt.agent}, "Sec-Ch-Ua": {tt.brands}}); got != tt.want {
			t.Errorf("%.120q %.60q is %q, want %q", tt.agent, tt.brands, got, tt.want)
		}
	}
}
