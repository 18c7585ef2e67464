package platform

import (
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Account says where in AWS something is. It is known before anything exists, so that policies can name what they
// allow.
type Account struct {
	// ID has twelve digits. Required.
	ID string
	// Region, e.g. eu-central-1. Required.
	Region string
}

var accountForm = regexp.MustCompile(`^[0-9]{12}$`)

// Validate reports everything wrong with the account.
func (a Account) Validate() field.ErrorList {
	problems := check.Region("region", a.Region)
	for _, prefix := range otherPartitions {
		problems = append(problems, check.That(!strings.HasPrefix(a.Region, prefix), "region", a.Region,
			"must be a region of the partition aws or aws-us-gov")...)
	}
	return append(problems, check.That(accountForm.MatchString(a.ID), "account", a.ID,
		"must be the twelve digits of an AWS account")...)
}

// partition is the part of AWS that the region is in, by the beginning of its ARNs.
func (a Account) partition() string {
	if strings.HasPrefix(a.Region, "us-gov-") {
		return "aws-us-gov"
	}
	return "aws"
}

// otherPartitions are the beginnings of the regions of parts of AWS that have other ARNs, other names for services, or
// no EKS Auto Mode: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
var otherPartitions = []string{"cn-", "eusc-", "us-iso", "eu-iso"}

// arn names a resource of a service; region and account are empty, or aws, for what is in none.
func (a Account) arn(service, region, account, resource string) string {
	return strings.Join([]string{"arn", a.partition(), service, region, account, resource}, ":")
}
