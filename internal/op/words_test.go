package op

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// entry is one entry of the design's vocabulary.
type entry struct {
	Key, Name, Does         string // of an operation
	Order                   int
	Code                    string
	Outcome, When, Variant  string // of a variant
	Label, Icon             string
	HTTP, CLI               int
	Stored, Notify          bool
	Title, Reason           string
	ReasonOne               string `json:"reason_one"`
	Why, Next, Text, Queued string
	Action                  [2]string
	Who, List               string
}

// words returns the slots of e. "(from the reason code)" marks a slot that is filled
// elsewhere.
func (e entry) words() text {
	slot := func(s string) string {
		if strings.HasPrefix(s, "(") {
			return ""
		}
		return s
	}
	return text{
		label: e.Label, title: slot(e.Title), reason: slot(e.Reason), one: e.ReasonOne, why: slot(e.Why), next: slot(e.Next),
		queued: e.Queued, action: action{slot(e.Action[0]), page(e.Action[1])}, who: e.Who,
	}
}

// vocabulary reads the design's words.
func vocabulary(t *testing.T) (sections map[string][]entry, forbidden []string) {
	t.Helper()
	raw, err := os.ReadFile("../../../shared/design/vocabulary.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the design's vocabulary is not beside the repository: ../shared/design/vocabulary.json")
	}
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]json.RawMessage
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	sections = make(map[string][]entry)
	for name, raw := range file {
		var err error
		switch name {
		case "version", "voice":
		case "forbidden":
			err = json.Unmarshal(raw, &forbidden)
		default:
			var entries []entry
			dec := json.NewDecoder(bytes.NewReader(raw))
			dec.DisallowUnknownFields()
			err = dec.Decode(&entries)
			sections[name] = entries
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return sections, forbidden
}

// catalogue returns every text of this package by its section and code in the design.
// Texts that the design lacks are in the section "ours".
func catalogue() map[string]text {
	all := map[string]text{
		"outcome_variants/the active run is queued, not running yet":  outcomes[Deduped].over(dedupedQueued),
		"outcome_variants/you started the active run":                 outcomes[Deduped].over(dedupedYours),
		"outcome_variants/the same press arrived twice (same key)":    replayed,
		"outcome_variants/the reader may not open it (holder_hidden)": outcomes[ScopeBusy].over(busyHidden),
		"blockers/(any unknown code)":                                 unknownBlocker,
		"failures/(any unknown code)":                                 unknownFailure,
		"run_states/stalled":                                          stalled,
		"run_states/cancelled/cancelled while still in line":          endings[RunCancelled].over(cancelledInLine),
		"run_states/lost/the connection was released by a person":     endings[RunLost].over(released),
		"ours/waiting":                           waiting,
		"ours/succeeded, nothing to read":        endings[RunSucceeded].over(succeededEmpty),
		"ours/succeeded, a preview":              endings[RunSucceeded].over(previewMade),
		"ours/busy, the holder waits":            outcomes[ScopeBusy].over(busyWaiting),
		"ours/deduped, the run waits":            outcomes[Deduped].over(dedupedWaiting),
		"ours/expired, as the provider said":     blockers[CredentialExpired].over(expiredSaid),
		"ours/refused whole":                     refusedWhole,
		"ours/refused whole, silently":           refusedWhole.over(refusedSilently),
		"ours/access refused, silently":          failures[AccessRefused].over(accessRefusedSilently),
		"ours/sign-in refused, silently":         failures[SignInRefused].over(signInRefusedSilently),
		"ours/sign-in refused, without a number": failures[SignInRefused].over(signInRefusedUnnumbered),
		"ours/fault, noted":                      failures[ProviderFault].over(faultNoted),
		"ours/skew, unmeasured":                  failures[ClockSkew].over(skewUnmeasured),
		"ours/throttled, tries, without a time":  failures[ProviderThrottled].over(throttledTriesUnsaid),
		"ours/throttled, without a time":         failures[ProviderThrottled].over(throttledUnsaid),
		"ours/item refused, silently":            items[ItemRefused].over(itemRefusedSilently),
		"ours/unclear":                           unclear,
		"ours/unknown item":                      unknownItem,
		"ours/item came":                         came,
		"ours/forbidden change":                  problems[ProblemForbidden].over(forbiddenChange),
		"ours/forbidden, unnamed":                problems[ProblemForbidden].over(forbiddenUnnamed),
		"ours/page not_found":                    problems[ProblemNotFound].over(pageProblems[ProblemNotFound]),
		"ours/page fault":                        problems[ProblemFault].over(pageProblems[ProblemFault]),
		"ours/item came, changed":                cameChanged,
	}
	for k, w := range kinds {
		all["operations/"+string(k)] = text{title: w.Name, why: w.Does}
	}
	for o, t := range outcomes {
		all["outcomes/"+string(o)] = t
	}
	for o, t := range preflight {
		all["ours/preflight "+string(o)] = t
	}
	for r, t := range busy {
		all["outcome_variants/"+string(r)] = outcomes[ScopeBusy].over(t)
	}
	for s, t := range states {
		all["run_states/"+string(s)] = t
	}
	for o, t := range endings {
		all["run_states/"+string(o)] = t
	}
	for name, m := range map[string]map[Reason]text{"blockers": blockers, "blocked_at_execution": stopped, "discontinued": discontinued, "failures": failures, "item_reasons": items} {
		for r, t := range m {
			if t.oneWhy != "" {
				all["ours/"+string(r)+" for one"] = text{why: t.oneWhy}
				t.oneWhy = ""
			}
			all[name+"/"+string(r)] = t
		}
	}
	for code, t := range stale {
		all["ours/preview stale, "+code] = blockers[PreviewStale].over(t)
	}
	for p, t := range problems {
		if code, ok := pages[p]; ok {
			all["pages/"+code] = t
		} else {
			all["ours/problem "+string(p)] = t
		}
	}
	for r, label := range itemResults {
		all["ours/item "+string(r)] = text{label: label}
	}
	return all
}

// pages are the problems that the design has words for, with its names.
var pages = map[Problem]string{
	ProblemForbidden:     "403",
	ProblemNotFound:      "404",
	ProblemSessionEnded:  "401 (session ended)",
	ProblemFormStale:     "400 (form is stale)",
	ProblemTooManyStarts: "429",
	ProblemKeyReused:     "422 idempotency_key_reused",
	ProblemFault:         "500",
	ProblemUpdating:      "503",
	ProblemLiveLost:      "Live updates lost",
}

// reserved are the entries of the design that this version doesn't use yet.
var reserved = []string{
	"blocked_at_execution/(any start blocker)", // a rule, not words: TestBlockersBeforeTheRun
	"blockers/operation_unsupported",
	"blockers/provider_throttled",
	"blockers/provider_unreachable",
	"blockers/starts_paused",
	"follow_ups/follow_up.blocked",
	"follow_ups/follow_up.done",
	"follow_ups/follow_up.ready",
	"follow_ups/follow_up.waiting",
	"item_reasons/item_conflict",
	"item_reasons/item_missing_dependency",
	"restore/confirm",
	"restore/confirm.error",
	"restore/preview",
	"restore/result",
	"restore/select",
	"restore/warnings",
}

// additions are entries that the design doesn't have.
var additions = []string{
	"blockers/application_disabled", // each cause of a refused sign-in has its own
	"blockers/approval_missing",
	"blockers/certificate_not_registered",
	"blockers/directory_not_found",
	"blockers/directory_unavailable",
	"blockers/federated_credential_missing",
	"blockers/preview_missing",
	"blockers/resource_not_found",
	"blockers/sign_in_blocked",
	"blockers/warnings_open",
	"discontinued/authorization_lost",
	"discontinued/connection_changed",
	"discontinued/connection_removed",
	"discontinued/expired_in_queue",
	"failures/access_refused",
	"failures/clock_skew",
	"failures/consent_settling",
	"failures/nothing_written",
	"failures/provider_fault",
	"failures/restore_refused",
	"failures/sign_in_refused",
	"failures/workload_identity_unavailable",
	"item_reasons/approval_wanted",
	"item_reasons/changed_since_preview",
	"item_reasons/dependency_missing",
	"item_reasons/left_out_of_plan",
	"item_reasons/list_incomplete",
	"item_reasons/not_as_sent",
	"item_reasons/not_assigned",
	"item_reasons/not_licensed",
	"item_reasons/object_added",
	"item_reasons/object_changed",
	"item_reasons/object_incomplete",
	"item_reasons/object_malformed",
	"item_reasons/object_removed",
	"item_reasons/object_twice",
	"item_reasons/object_without_id",
	"item_reasons/object_without_name",
	"item_reasons/part_not_written",
	"item_reasons/restore_refused",
	"item_reasons/write_in_doubt",
	"ours/access refused, silently",
	"ours/busy, the holder waits",
	"ours/connection_default_missing for one", // "1 connections" is no English
	"ours/deduped, the run waits",
	"ours/expired, as the provider said",
	"ours/fault, noted",
	"ours/forbidden change",
	"ours/forbidden, unnamed",
	"ours/item came",
	"ours/item came, changed",
	"ours/item conflict",
	"ours/item created",
	"ours/item done",
	"ours/item failed",
	"ours/item not_applicable",
	"ours/item not_supported",
	"ours/item pending",
	"ours/item refused, silently",
	"ours/item skipped",
	"ours/item unchanged",
	"ours/item unknown",
	"ours/item unresolvable",
	"ours/item updated",
	"ours/page fault",
	"ours/page not_found",
	"ours/preflight accepted",
	"ours/preflight blocked",
	"ours/preflight deduped",
	"ours/preflight scope_busy",
	"ours/preview stale, connection_changed",
	"ours/preview stale, directory_changed",
	"ours/preview stale, executed",
	"ours/preview stale, expired",
	"ours/preview stale, mapping_changed",
	"ours/preview stale, tenant_written",
	"ours/problem address_missing",
	"ours/problem beyond_your_access",
	"ours/problem conflict",
	"ours/problem cursor",
	"ours/problem field",
	"ours/problem fresh_sign_in_required",
	"ours/problem join_refused",
	"ours/problem link_unusable",
	"ours/problem live_reconnecting",
	"ours/problem passkey_refused",
	"ours/problem passkeys_unavailable",
	"ours/problem second_factor_missing",
	"ours/problem second_factor_required",
	"ours/problem session_required",
	"ours/problem sign_in_over",
	"ours/problem signed_out",
	"ours/problem too_large",
	"ours/problem too_many_connections",
	"ours/problem too_many_requests",
	"ours/problem too_many_streams",
	"ours/problem too_many_tries",
	"ours/problem unavailable",
	"ours/problem unreachable",
	"ours/refused whole",
	"ours/refused whole, silently",
	"ours/sign-in refused, silently",
	"ours/sign-in refused, without a number",
	"ours/skew, unmeasured",
	"ours/succeeded, a preview",
	"ours/succeeded, nothing to read",
	"ours/throttled, tries, without a time",
	"ours/throttled, without a time",
	"ours/unclear",
	"ours/unknown item",
	"ours/waiting",
}

// reworded are entries whose sentences differ from the design, because these are plainer,
// shorter, or closer to what the code does.
var reworded = []string{
	"blocked_at_execution/authorization_lost",
	"blocked_at_execution/connection_changed",
	"blocked_at_execution/connection_removed",
	"blocked_at_execution/expired_in_queue",
	"blockers/(any unknown code)",
	"blockers/backup_missing",
	"blockers/connection_default_missing",
	"blockers/connection_missing",
	"blockers/consent_missing",
	"blockers/consent_pending",
	"blockers/consent_revoked",
	"blockers/credential_missing",
	"blockers/credential_unreadable",
	"blockers/permission_missing",
	"blockers/precheck_unavailable",
	"blockers/preview_stale",
	"blockers/target_changed",
	"blockers/tenant_mismatch",
	"blockers/tenant_not_active",
	"blockers/verification_failed",
	"blockers/verification_missing",
	"failures/(any unknown code)",
	"failures/connection_disabled",
	"failures/consent_revoked",
	"failures/credential_invalid",
	"failures/internal_fault",
	"failures/permission_missing",
	"failures/provider_rejected",
	"failures/provider_throttled",
	"failures/provider_unreachable",
	"failures/time_limit",
	"outcome_variants/holder_cancelling",
	"outcome_variants/holder_stalled",
	"outcome_variants/other_operation_active",
	"outcome_variants/same_operation_different_parameters",
	"outcome_variants/scope_inconsistent",
	"outcome_variants/the same press arrived twice (same key)",
	"outcomes/accepted",
	"outcomes/scope_busy",
	"pages/400 (form is stale)",
	"pages/401 (session ended)",
	"pages/403",
	"pages/404",
	"pages/422 idempotency_key_reused",
	"pages/429",
	"pages/500",
	"pages/Live updates lost",
	"run_states/cancelled",
	"run_states/cancelled/cancelled while still in line",
	"run_states/cancelling",
	"run_states/lost",
	"run_states/lost/the connection was released by a person",
	"run_states/partial",
	"run_states/queued",
	"run_states/running",
	"run_states/stalled",
	"run_states/succeeded",
}

// added are the sentences at the end of the design's texts that are not part of a why
// here: what was queued has a slot of its own, and DescribeRun adds the others.
var added = strings.NewReplacer(" Nothing was queued.", "", " Nothing new was queued.", "", " "+nothingChanged, "", " {done} of {total} items were done by then.", "")

// TestVocabulary compares the words here with those of the design. Where they differ
// on purpose, the entry is listed, and only its sentences may differ.
func TestVocabulary(t *testing.T) {
	sections, _ := vocabulary(t)
	ours := catalogue()
	var missing []string
	for section, entries := range sections {
		for _, e := range entries {
			key, want := section+"/"+e.Code, e.words()
			switch section {
			case "operations":
				key, want = section+"/"+e.Key, text{title: e.Name, why: e.Does}
			case "outcome_variants":
				if e.Outcome != "scope_busy" || strings.Contains(e.When, "holder_hidden") {
					key = section + "/" + e.When
				}
			case "run_states":
				if e.Variant != "" {
					key += "/" + e.Variant
				}
			}
			got, ok := ours[key]
			if !ok {
				if section != "operations" { // the catalogue says which of them there are
					missing = append(missing, key)
				}
				continue
			}
			delete(ours, key)
			if section == "outcome_variants" { // which leave the outcome's other slots as they are
				got = text{title: got.title, reason: got.reason, why: got.why, next: got.next}
			}
			if section != "pages" && section != "run_states" {
				want.why = added.Replace(want.why)
			}
			if got.label != want.label || got.queued != want.queued || got.action.to != want.action.to || got.who != want.who {
				t.Errorf("%s:\n got %+v\nwant %+v", key, got, want)
			}
			if (got == want) == slices.Contains(reworded, key) {
				t.Errorf("%s:\n got %+v\nwant %+v, unless it is reworded", key, got, want)
			}
			switch section {
			case "outcomes":
				if o := Outcome(e.Code); o.HTTPStatus() != e.HTTP || o.ExitCode() != e.CLI {
					t.Errorf("%s: HTTP %d, exit %d, want %d, %d", key, o.HTTPStatus(), o.ExitCode(), e.HTTP, e.CLI)
				}
			case "run_states":
				if _, ends := endings[RunOutcome(e.Code)]; ends != e.Notify {
					t.Errorf("%s: notifies %v, ends a run %v", key, e.Notify, ends)
				}
			}
		}
	}
	slices.Sort(missing)
	if !slices.Equal(missing, reserved) {
		t.Errorf("words of the design that are not here:\n%s\nwant only the reserved ones:\n%s", strings.Join(missing, "\n"), strings.Join(reserved, "\n"))
	}
	var extra []string
	for key := range ours {
		if !strings.HasPrefix(key, "operations/") {
			extra = append(extra, key)
		}
	}
	slices.Sort(extra)
	if !slices.Equal(extra, additions) {
		t.Errorf("words here that the design does not have:\n%s\nwant only the additions:\n%s", strings.Join(extra, "\n"), strings.Join(additions, "\n"))
	}
}

// TestQueuedIsASlot: what a start queued is said in its own slot, not in a sentence of
// the reason.
func TestQueuedIsASlot(t *testing.T) {
	for key, words := range catalogue() {
		if section, _, _ := strings.Cut(key, "/"); section == "pages" {
			continue // a refusal has no such slot
		}
		for _, s := range []string{words.reason, words.one, words.why, words.oneWhy, words.next} {
			if s := strings.ToLower(s); strings.Contains(s, "was queued.") || strings.Contains(s, "nothing new") {
				t.Errorf("%s: %s", key, s)
			}
		}
	}
}

// forbiddenWords must not occur in any sentence.
var forbiddenWords = []string{
	"invalid", "illegal", "abort", "fatal", "oops", "sorry", "please", "whoops", "unfortunately", "an error occurred",
	"something went wrong", "job", "worker", "dispatch", "preflight", "payload", "!", "click here", "contact your administrator",
}

func TestForbiddenWordsAreTheDesigns(t *testing.T) {
	if _, want := vocabulary(t); !slices.Equal(forbiddenWords, want) {
		t.Errorf("forbidden words are %q, want %q", forbiddenWords, want)
	}
}

// TestVoice holds every text to the limits of the voice.
func TestVoice(t *testing.T) {
	longestName := ""
	for _, w := range kinds {
		if len(w.Name) > len(longestName) {
			longestName = w.Name
		}
	}
	f := filler{args: Args{"operation": longestName, "operation_in": lowerFirst(longestName)}}
	for key, words := range catalogue() {
		for slot, s := range map[string]string{
			"label": words.label, "title": words.title, "reason": words.reason, "one": words.one, "why": words.why,
			"next": words.next, "queued": words.queued, "action": words.action.label, "who": words.who,
		} {
			for _, bad := range forbiddenWords {
				if strings.Contains(strings.ToLower(s), bad) {
					t.Errorf("%s: %s has the forbidden %q: %s", key, slot, bad, s)
				}
			}
			if left := f.fill(s); strings.ContainsAny(left, "{}") || strings.Contains(left, "  ") || left != strings.TrimSpace(left) {
				t.Errorf("%s: %s with nothing known has a hole: %q", key, slot, left)
			}
			if sentence := slot == "why" || slot == "next"; sentence && s != "" && !strings.HasSuffix(s, ".") {
				t.Errorf("%s: %s is no sentence: %q", key, slot, s)
			}
		}
		if title := f.fill(words.title); utf8.RuneCountInString(title) > 60 {
			t.Errorf("%s: title has %d characters, 60 at most: %s", key, utf8.RuneCountInString(title), title)
		}
		if n := len(strings.Fields(words.reason)); n > 5 {
			t.Errorf("%s: reason has %d words, 5 at most: %s", key, n, words.reason)
		}
	}
}

// constants returns the values of the constants of a type. It reads the source, so it
// can't miss one.
func constants(t *testing.T, typ string) []string {
	t.Helper()
	var values []string
	for _, file := range []string{"op.go", "kind.go", "links.go", "problem.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if id, ok := spec.Type.(*ast.Ident); ok && id.Name == typ {
				for _, v := range spec.Values {
					s, err := strconv.Unquote(v.(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					values = append(values, s)
				}
			}
			return true
		})
	}
	if len(values) == 0 {
		t.Fatalf("no constants of type %s", typ)
	}
	return values
}

// TestEveryConstantHasWords fails for a constant that no text explains.
func TestEveryConstantHasWords(t *testing.T) {
	for _, k := range constants(t, "Kind") {
		if kinds[Kind(k)].Name == "" || kinds[Kind(k)].Does == "" {
			t.Errorf("kind %s has no words", k)
		}
	}
	for _, o := range constants(t, "Outcome") {
		if outcomes[Outcome(o)].title == "" {
			t.Errorf("outcome %s has no words", o)
		}
	}
	for _, s := range constants(t, "State") {
		if states[State(s)].title == "" && State(s) != Finished { // a finished run is told by its outcome
			t.Errorf("state %s has no words", s)
		}
	}
	for _, o := range constants(t, "RunOutcome") {
		if endings[RunOutcome(o)].title == "" {
			t.Errorf("run outcome %s has no words", o)
		}
	}
	for _, r := range constants(t, "Reason") {
		code := Reason(r)
		_, isBusy := busy[code]
		if !isBusy && explained(code).reason == "" && stopped[code].reason == "" && items[code].reason == "" &&
			code != SameOperationActive && code != Replayed { // the words of outcomes
			t.Errorf("reason %s has no words", r)
		}
	}
	for _, r := range constants(t, "ItemResult") {
		if itemResults[ItemResult(r)] == "" {
			t.Errorf("item result %s has no words", r)
		}
	}
	for _, p := range constants(t, "Problem") {
		if problems[Problem(p)].title == "" {
			t.Errorf("problem %s has no words", p)
		}
	}
	for _, p := range constants(t, "page") {
		if routes[page(p)] == "" {
			t.Errorf("page %s has no address", p)
		}
	}
}

// TestPlaceholders lists every placeholder. A misspelt one would always be filled with
// neutral words.
func TestPlaceholders(t *testing.T) {
	placeholder := regexp.MustCompile(`\{[^}]*\}`)
	found := map[string]bool{}
	for _, words := range catalogue() {
		for _, s := range []string{words.label, words.title, words.reason, words.why, words.next, words.queued, words.action.label, words.who} {
			for _, p := range placeholder.FindAllString(s, -1) {
				found[strings.Trim(p, "{}")] = true
			}
		}
	}
	var names []string
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	want := strings.Fields(`actor actual_directory answered approvers archived_on capability changed changed_at checked_at clock_difference code conflict connection count
		credential_kind detail differences disabled_on done duration expected_directory expired_on failed failed_items failed_objects fault field fields heard idle
		items last_seen limit look max_age minutes needed note opened_on operation operation_in other_operation other_run owner part paths permissions previewed_at
		provider provider_code provider_message reference release_at removed retry_after retry_at revoked_on role run run_state shown_connection
		started_ago started_for starter step tenant took total tries until verification_reason verified_ago verified_on waited warnings`)
	if !slices.Equal(names, want) {
		t.Errorf("placeholders are\n%s\nwant\n%s", strings.Join(names, " "), strings.Join(want, " "))
	}
}
