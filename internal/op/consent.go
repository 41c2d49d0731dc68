package op

import (
	"regexp"
	"strings"
	"time"
)

// ConsentAnswer is what someone reads who comes back from the provider's consent page.
type ConsentAnswer struct {
	Title, Why, Next string
	Evidence         *Evidence // of a refusal: what the provider said; nil: nothing
}

// ConsentGiven is the answer when the provider reports an approval.
func ConsentGiven() ConsentAnswer { return consentAnswers["given"].answer() }

// ConsentElsewhere is the answer when another directory approved than was asked.
func ConsentElsewhere() ConsentAnswer { return consentAnswers["elsewhere"].answer() }

var aadsts = regexp.MustCompile(`\bAADSTS\d{1,9}\b`)

// ConsentProblem is the provider's own code of a refusal: its number where it has
// one, such as "AADSTS50020", else the error of RFC 6749; at most 40 characters.
func ConsentProblem(problem, description string) string {
	if number := aadsts.FindString(description); number != "" {
		return number
	}
	return cleaned(problem, 40)
}

// ConsentRefused is the answer when the provider reports that there is no consent.
// problem and description are what it said; the words are ours, its own stand in
// the evidence.
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
