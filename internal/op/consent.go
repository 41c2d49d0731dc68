package op

import (
	"regexp"
	"strings"
	"time"
)

// ConsentAnswer is shown to a person who returns from the provider's consent page.
type ConsentAnswer struct {
	Title, Why, Next string
	Evidence         *Evidence // what the provider said when it refused, else nil
}

// ConsentGiven is the answer when the provider reports an approval.
func ConsentGiven() ConsentAnswer { return consentAnswers["given"].answer() }

// ConsentElsewhere is the answer when an administrator of another directory approved.
func ConsentElsewhere() ConsentAnswer { return consentAnswers["elsewhere"].answer() }

var aadsts = regexp.MustCompile(`\bAADSTS\d{1,9}\b`)

// ConsentProblem is the provider's code of a refusal: its number, such as
// "AADSTS50020", or else the error of RFC 6749, of at most 40 characters.
func ConsentProblem(problem, description string) string {
	if number := aadsts.FindString(description); number != "" {
		return number
	}
	return cleaned(problem, 40)
}

// ConsentRefused is the answer when the provider reports that consent was not given.
// problem and description come from the provider, and are kept in the evidence.
func ConsentRefused(problem, description string, at time.Time) ConsentAnswer {
	code := ConsentProblem(problem, description)
	words, ok := consentAnswers[code]
	if !ok {
		words = consentAnswers["unknown"]
	}
	text, _, _ := strings.Cut(description, "\r\n")
	a := words.answer()
	a.Why = filler{args: Args{"provider_code": code}}.fill(a.Why)
	if code != "" {
		a.Evidence = &Evidence{Code: code, Text: cleaned(text, 300), At: at}
	}
	return a
}
