package main

// teamRules are the rules of those who run these stacks. This file is theirs: an update of this project does not change
// it. A rule returns what violates it; Stack has the resources, and Config the stack file. For example, that each
// Deployment names the team that is called at night:
//
//	var teamRules = []Rule{{
//		ID: "team-label", Severity: Error,
//		Reason: "nobody knows whom to call",
//		Fix:    "set labels: {team: ...} in the stack file",
//		Check: func(s *Stack) (found []Violation) {
//			for _, r := range s.ofKind("Deployment") {
//				if r.Get("metadata", "labels", "team") == nil {
//					found = append(found, violation(r, "has no label team"))
//				}
//			}
//			return found
//		},
//	}}
var teamRules []Rule
