package op

// Tidied is something that was done to a pasted value before it was saved.
type Tidied string

// What is done to pasted values.
const (
	TidiedSpace  Tidied = "space"
	TidiedQuotes Tidied = "quotes"
	TidiedOrder  Tidied = "order" // of certificates
)

// Words tell whoever pasted it; empty for a code that there is none of.
func (t Tidied) Words() string { return tidied[t] }
