package main

import (
	"strings"

	"example.com/scaleout/internal/rendered"
	"example.com/scaleout/internal/review"
)

var dataRules = []Rule{
	{
		ID: "protected-data", Severity: Error,
		Reason: "a renamed or removed resource deletes its data in the next update",
		Fix:    "set pulumi.Protect or pulumi.RetainOnDelete (redisProtect, elasticacheProtect)",
		Check: func(s *Stack) (found []Violation) {
			if !s.OnAWS() {
				return nil
			}
			for _, r := range s.Resources {
				kept := r.Options.Protect || r.Options.RetainOnDelete ||
					r.Type == "aws:ecr/repository:Repository" && r.Get("forceDelete") != true || // AWS keeps one with images
					r.Get("skipDestroy") == true
				if review.HoldsData(r.Type) && !kept && !contains(r) {
					found = append(found, violation(r, "is neither protected nor retained"))
				}
			}
			return found
		},
	},
	{
		ID: "tags", Severity: Warning,
		Reason: "nobody can tell whom a resource belongs to, and what it costs them",
		Fix:    "set aws:defaultTags in the stack file",
		Check: func(s *Stack) (found []Violation) {
			if tags := rendered.Get(s.Config["aws:defaultTags"], "tags"); tags != nil {
				return nil
			}
			for _, r := range s.Resources {
				if strings.HasPrefix(r.Type, "aws:") && r.Get("tags") == nil && tagged[r.Type] {
					found = append(found, violation(r, "has no tags"))
				}
			}
			return found
		},
	},
}

// contains reports whether a resource only contains others, which are protected themselves.
func contains(r *rendered.Resource) bool {
	return r.Kind() == "Namespace" || r.Kind() == "CustomResourceDefinition"
}

// tagged are the types that cost money and have tags.
var tagged = map[string]bool{
	"aws:ec2/eip:Eip": true, "aws:ec2/natGateway:NatGateway": true, "aws:ec2/vpcEndpoint:VpcEndpoint": true,
	"aws:ecr/repository:Repository": true, "aws:eks/cluster:Cluster": true, "aws:kms/key:Key": true,
	"aws:elasticache/replicationGroup:ReplicationGroup": true, "aws:elasticache/serverlessCache:ServerlessCache": true,
	"aws:cloudwatch/logGroup:LogGroup": true,
}
