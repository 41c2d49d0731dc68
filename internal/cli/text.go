package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
)

// width is the line width if the terminal's is not known.
const width = 104

// page writes the slots of an answer or a run.
type page struct {
	w     io.Writer
	width int
	base  string // address of the server, for links
	plan  string // the preview that an answer is about, or that a run has stored; empty: none
}

func (a *app) page(w io.Writer) page {
	p := page{w: w, width: width}
	if f, ok := terminal(w); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 20 {
			p.width = min(columns, width)
		}
	}
	if c, err := a.where(); err == nil {
		p.base = strings.TrimRight(c.URL, "/")
	}
	return p
}

// slot writes text next to its label, in lines that fit.
func (p page) slot(label, text string) {
	for _, l := range wrap(text, p.width-6) {
		p.line("%-4s  %s", label, l)
		label = ""
	}
}

func (p page) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	_, _ = fmt.Fprintln(p.w, strings.TrimRight(text, " ")) // the reader is gone
}

// wrap breaks text into lines of at most width characters.
func wrap(text string, width int) []string {
	var lines []string
	at := ""
	for word := range strings.FieldsSeq(text) {
		if at != "" && utf8.RuneCountInString(at)+1+utf8.RuneCountInString(word) > width {
			lines, at = append(lines, at), ""
		}
		if at != "" {
			at += " "
		}
		at += word
	}
	return append(lines, at)
}

// answer writes an answer of the gate.
func (p page) answer(a op.Answer) {
	p.line("%s  %s", a.Tag, a.Title)
	var first op.Explained
	if len(a.Reasons) > 0 {
		first = a.Reasons[0]
		p.slot("Why", first.Title+". "+first.Detail)
	}
	if a.Also != "" {
		p.slot("Also", a.Also)
	}
	p.slot("Next", first.Fix.Behind(strings.Join(a.Next, " ")))
	p.action(first, a)
	connection := "none"
	if a.Target != nil {
		connection = a.Target.Name
	}
	p.line("Connection: %s   Queued: %s   Code: %s", connection, lowerFirst(a.Queued), a.Code)
}

// action writes the next step: a command if there is one, else the address of a page.
func (p page) action(e op.Explained, a op.Answer) {
	run := a.Run
	if run == nil {
		run = a.Holder
	}
	switch {
	case run != nil && (a.Outcome != op.Blocked):
		p.slot("", "interlock run "+run.Code)
	case (e.Code == op.VerificationMissing || e.Code == op.VerificationStale) && a.Target != nil:
		p.slot("", fmt.Sprintf("interlock start %s --tenant %s --connection %s", op.ConnectionVerify, a.Tenant.Slug, a.Target.Slug))
	case p.plan != "" && (e.Code == op.WarningsOpen || e.Code == op.ApprovalMissing):
		p.command("restore plan show %s --tenant %s", p.plan, a.Tenant.Slug)
	case p.plan != "" && e.Code == op.PreviewStale:
		p.command("restore preview --again %s --tenant %s", p.plan, a.Tenant.Slug)
	default:
		p.fix(e.Fix)
	}
}

// command writes a command on a line of its own, so that it can be copied.
func (p page) command(format string, args ...any) { p.line("      interlock "+format, args...) }

// fix writes where a reason can be fixed, for those who may.
func (p page) fix(f *op.Fix) {
	if f == nil || f.Href == "" {
		return
	}
	p.line("      %s: %s", f.Label, p.base+f.Href) // already escaped: joining would escape its # and ?
}

// run writes a run.
func (p page) run(r op.Run) {
	p.line("%s  %s", r.Words.Pill, r.Words.Title)
	p.slot("Why", r.Words.Reason+". "+r.Words.Why)
	p.slot("Next", r.Words.Fix.Behind(r.Words.Next))
	if p.plan != "" {
		p.command("restore plan show %s --tenant %s", p.plan, r.Tenant.Slug)
	}
	if r.State == op.Finished && r.Outcome != op.RunSucceeded {
		p.fix(r.Words.Fix)
	}
	p.line("Tenant: %s   Connection: %s   Run: %s   Code: %s", r.Tenant.Name, r.Target.Name, r.Code, r.Words.Code)
	times := fmt.Sprintf("Started: %s by %s (%s)", moment(r.AcceptedAt), r.Initiator.Name, r.Surface)
	if r.EndedAt != nil {
		times += "   Ended: " + moment(*r.EndedAt)
	}
	p.line("%s", times)
}

// detailsHelp is the help text of the flag that shows evidence.
const detailsHelp = "also show the provider's response to each failed call: status, code, message, request ids"

// evidence writes what the provider answered to a failed call, if it was called.
func (p page) evidence(about string, e *op.Evidence) {
	lines := e.Lines()
	if len(lines) == 0 {
		return
	}
	p.line("")
	p.line("%s: %s", op.EvidenceTitle(), strings.Map(printable, about))
	wide := 0
	for _, l := range lines {
		wide = max(wide, utf8.RuneCountInString(l.Label))
	}
	for _, l := range lines {
		label := l.Label + strings.Repeat(" ", wide-utf8.RuneCountInString(l.Label))
		for _, text := range wrap(strings.Map(printable, l.Value), max(20, p.width-wide-4)) {
			p.line("  %s  %s", label, text)
			label = strings.Repeat(" ", wide)
		}
	}
}

// printProblem writes a refusal.
func printProblem(w io.Writer, p *client.Problem) {
	out := page{w: w, width: width}
	out.line("%s", p.Title)
	out.slot("Why", p.Detail)
	for _, e := range p.Errors[min(1, len(p.Errors)):] {
		out.slot("", e.Field+": "+e.Detail)
	}
	if p.Next != "" {
		out.slot("Next", p.Next)
	}
	facts := "Code: " + p.Code
	if p.RequestID != "" {
		facts += "   Reference: " + p.RequestID
	}
	out.line("%s", facts)
}

// table writes rows in columns.
type table struct {
	w *tabwriter.Writer
}

func (a *app) table(columns ...string) table {
	t := table{tabwriter.NewWriter(a.Out, 0, 0, 3, ' ', 0)}
	t.row(columns...)
	return t
}

// row adds a row. It removes control characters, since names come from people and
// providers.
func (t table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = strings.Map(printable, c)
	}
	_, _ = fmt.Fprintln(t.w, strings.Join(cells, "\t")) // print reports it
}

func printable(r rune) rune {
	if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
		return -1
	}
	return r
}

func (t table) print() error { return t.w.Flush() }

// more prints how to get the next page of a list.
func (a *app) more(next *string) {
	if next != nil {
		_, _ = fmt.Fprintf(a.Err, "More: --cursor %s\n", *next)
	}
}

// none says that a list is empty, and which command fills it. items is what its rows are.
func (a *app) none(items string, operation op.Kind, tenant string) {
	_, _ = fmt.Fprintf(a.Err, "No %s found. To read them from the tenant: interlock start %s --tenant %s\n", items, operation, tenant)
}

// several returns n with what it counts, such as "1 policy" or "3 policies".
func several[N int | int64](n N, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func day(t time.Time) string { return t.UTC().Format("2 Jan 2006") }

func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return ""
	}
	return string(unicode.ToLower(r)) + s[n:]
}
