package op

import (
	"slices"
	"strings"
)

// The operations of a restore. A preview makes the plan that a restore executes.
const (
	PolicyRestorePreview Kind = "policy.restore.preview"
	PolicyRestore        Kind = "policy.restore"
)

// IsWarning reports whether code is the code of a warning of a restore.
func IsWarning(code string) bool { _, ok := warnings[code]; return ok }

// Warning says in one sentence what a warning of a restore means; detail may be empty.
func Warning(code, detail string) string { return planned(warnings, code, detail) }

// Block says in one sentence why a step of a restore makes no calls.
func Block(code, detail string) string { return planned(blocks, code, detail) }

// PlanNote says in one sentence what a note of a step means.
func PlanNote(code, detail string) string { return planned(notes, code, detail) }

// Stale says in one sentence why a preview is out of date. args are tenant and
// previewed_at.
func Stale(code string, args Args) string {
	return filler{args: args}.fill(blockers[PreviewStale].over(stale[code]).why)
}

// Again is the operation that a run of k is made again by. A preview is executed once, so
// that a restore is made again by a preview of its own.
func (k Kind) Again() Kind {
	if k == PolicyRestore {
		return PolicyRestorePreview
	}
	return k
}

// previewed returns the words of a restore that has begun, which nobody can start again.
func (t text) previewed() text {
	t.next = againByPreview.Replace(t.next)
	if t.action.to == toRetry {
		t.action = blockers[PreviewStale].action
	}
	return t
}

var againByPreview = strings.NewReplacer("Start again", "Preview the restore again", "start again", "preview the restore again")

// PlanAction names what a step does, such as "Create"; the code itself when this version
// doesn't know it.
func PlanAction(code string) string {
	if words, ok := planActions[code]; ok {
		return words
	}
	return code
}

// PlanActions returns the codes of all actions, in the order in which they are counted.
func PlanActions() []string {
	return []string{"create", "update", "unchanged", "conflict", "unresolvable", "not_supported"}
}

// WarningCodes returns the codes of all warnings, sorted.
func WarningCodes() []string {
	codes := make([]string, 0, len(warnings))
	for code := range warnings {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	return codes
}

// planned returns the sentence of a code, followed by its detail. A code that this
// version doesn't know is shown as it is.
func planned(words map[string]string, code, detail string) string {
	sentence, ok := words[code]
	if !ok {
		sentence = code
	}
	if detail = clean(detail); detail == "" {
		return sentence + "."
	}
	return sentence + ": " + detail + "."
}

var planActions = map[string]string{
	"create": "Create", "update": "Update", "unchanged": "Unchanged", "conflict": "Conflict",
	"unresolvable": "Unresolvable", "not_supported": "Not supported",
}

// warnings are the effects of a restore that its starter acknowledges.
var warnings = map[string]string{
	"widens_audience":        "The policy will apply to more people or devices than now",
	"removes_assignments":    "All assignments of the policy will be removed",
	"switches_on_or_off":     "The restore turns something on or off",
	"conditional_access":     "The policy decides who can sign in",
	"affects_administrators": "The policy applies to administrators",
	"microsoft_approval":     "Microsoft asks a second administrator to approve changes of this type",
	"backup_older":           "The policy was changed after the backup",
	"crosses_directories":    "The backup is from another directory",
}

// blocks are why a step makes no calls.
var blocks = map[string]string{
	"name_taken":         "The tenant already has policies with this name. Choose one to update, or create a new policy",
	"deleted_there":      "The tenant has a deleted policy that can be brought back. Choose it, or create a new policy",
	"target_taken":       "Another step already writes this policy",
	"would_wipe":         "The update would remove settings that the backup doesn't have",
	"target_unread":      "The policy in the tenant couldn't be read",
	"immutable":          "A property that can't be changed differs",
	"no_default":         "The tenant doesn't have this built-in policy",
	"reference_missing":  "The policy refers to an object that the tenant doesn't have. Map it to another object",
	"excluded_missing":   "The policy excludes an object that the tenant doesn't have. Map it to another object",
	"scope_tag_missing":  "The policy has a scope tag that the tenant doesn't have. Map it to another scope tag",
	"mapping_gone":       "A mapping points to an object that no longer exists. Change the mapping",
	"assignment_missing": "The policy is assigned to a group that the tenant doesn't have. Map it to another group, or restore the policy without its assignments",
	"incomplete":         "The backup of this policy is incomplete",
	"backup_only":        "Policies of this type are backed up but can't be restored",
	"built_in":           "Microsoft created this policy, so it can't be restored",
	"secret_masked":      "The policy has a secret that the backup doesn't have",
	"unknown_value":      "Microsoft returned no value for a setting of this policy",
	"not_accepted":       "Microsoft would refuse the policy",
	"imported_admx":      "The policy needs an imported ADMX file, which can't be restored",
	"not_assignable":     "Microsoft would refuse the assignments of the policy",
}

// notes are facts about a step that need no decision.
var notes = map[string]string{
	"stays_disabled": "The policy will be disabled. Its state in the backup",
	"not_assigned":   "Its assignments are not restored",
	"kept":           "This part stays, because only a deletion could remove it",
	"undeleted":      "The deleted policy is brought back first",
}

// stale are the reasons why a preview is out of date, laid over the blocker's words.
var stale = map[string]text{
	"expired":            {why: "The preview was made at {previewed_at}. A preview is valid for 30 minutes."},
	"connection_changed": {why: "The connection was changed after the preview."},
	"directory_changed":  {why: "The connection leads to another directory than the preview."},
	"mapping_changed":    {why: "A mapping that the preview uses was changed or removed."},
	"tenant_written":     {why: "Interlock changed something in {tenant} after the preview."},
	"executed":           {why: "This preview was already executed. Every restore needs its own preview."},
}
