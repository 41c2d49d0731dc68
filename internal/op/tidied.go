package op

// Tidied is a correction made to a pasted value before it was saved.
type Tidied string

// The corrections.
const (
	TidiedSpace  Tidied = "space"
	TidiedQuotes Tidied = "quotes"
	TidiedOrder  Tidied = "order" // of certificates
)

// Words describe the correction; empty for an unknown one.
func (t Tidied) Words() string { return tidied[t] }
