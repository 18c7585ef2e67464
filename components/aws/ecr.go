package aws

import (
	"cmp"
	"fmt"
	"regexp"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ecr"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// ECRRepositoryArgs describes a repository of the Amazon Elastic Container Registry.
type ECRRepositoryArgs struct {
	// Name of the repository in its registry, e.g. scaleout. Required.
	Name string
	// ForceDelete lets `pulumi destroy` delete the images too; otherwise they make it fail, which protects production.
	ForceDelete bool
	// KeepImages is the number of newest images to keep, and thus how far back a rollback without a build can go. 2 to
	// 10000. Required.
	KeepImages int
	// KMSKeyARN is the key that encrypts the images. Empty for AWS' own key for ECR.
	KMSKeyARN string
}

// Validate reports everything wrong with the arguments.
func (a *ECRRepositoryArgs) Validate() field.ErrorList {
	named := ecrNameForm.MatchString(a.Name) && len(a.Name) >= 2 && len(a.Name) <= 256
	problems := check.That(named, "name", a.Name,
		"must be 2 to 256 characters in lower case, such as scaleout or team/scaleout")
	problems = append(problems, check.Range("keepImages", a.KeepImages, 2, 10_000)...) // a rollout needs two images
	return append(problems, checkKey(a.KMSKeyARN)...)
}

// checkKey accepts the ARN of a KMS key, or an empty string.
func checkKey(arn string) field.ErrorList {
	return check.Match("kmsKeyArn", arn, keyForm, "must be arn:aws:kms:<region>:<account>:key/<id>, or empty")
}

var (
	// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
	ecrNameForm = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$`)
	keyForm     = regexp.MustCompile(`^$|^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[a-z0-9-]+$`)
)

// ECRRepository stores the app's images on AWS: pushes are scanned, images are encrypted, and old images expire. Tags
// are mutable: pods reference images by digest, and immutable tags would reject the second push of the same content,
// after an interrupted update or a rebuild of an old commit:
// https://github.com/aws/containers-roadmap/issues/2380
type ECRRepository struct {
	pulumi.ResourceState

	// URL is <account>.dkr.ecr.<region>.amazonaws.com/<name>, without a tag.
	URL pulumi.StringOutput
}

// NewECRRepository creates the repository and its lifecycle policy.
func NewECRRepository(
	ctx *pulumi.Context, name string, args *ECRRepositoryArgs, opts ...pulumi.ResourceOption,
) (*ECRRepository, error) {
	args = cmp.Or(args, &ECRRepositoryArgs{})
	r := &ECRRepository{}
	b, err := component.Register(ctx, "scaleout:index", "ECRRepository", name, args.Validate(), r, opts)
	if err != nil {
		return nil, err
	}
	encryption := ecr.RepositoryEncryptionConfigurationArgs{
		EncryptionType: pulumi.String("KMS"), KmsKey: component.Optional(args.KMSKeyARN),
	}
	repository := component.Create(b, ecr.NewRepository, "", &ecr.RepositoryArgs{
		Name:               pulumi.String(args.Name),
		ImageTagMutability: pulumi.String("MUTABLE"),
		ForceDelete:        pulumi.Bool(args.ForceDelete),
		ImageScanningConfiguration: &ecr.RepositoryImageScanningConfigurationArgs{
			ScanOnPush: pulumi.Bool(true),
		},
		EncryptionConfigurations: ecr.RepositoryEncryptionConfigurationArray{encryption},
	})
	component.Create(b, ecr.NewLifecyclePolicy, "-lifecycle", &ecr.LifecyclePolicyArgs{
		Repository: repository.Name,
		Policy:     pulumi.String(fmt.Sprintf(keepRecentImages, args.KeepImages)),
	})
	r.URL = repository.RepositoryUrl
	return r, b.Finish(pulumi.Map{"url": r.URL})
}

// ECRUser is the username for all ECR registries; the password is a token.
const ECRUser = "AWS"

// ECRToken returns a token for the account's registry, valid for twelve hours. It becomes part of the state, as a
// secret; a Docker credential helper avoids that. The Docker provider ignores the token in its diff.
func ECRToken(ctx *pulumi.Context, opts ...pulumi.InvokeOption) pulumi.StringOutput {
	login := ecr.GetAuthorizationTokenOutput(ctx, ecr.GetAuthorizationTokenOutputArgs{}, opts...)
	return pulumi.ToSecret(login.Password()).(pulumi.StringOutput)
}

// keepRecentImages expires all other images. ECR counts images, not tags: an image that lost its tag to a rebuild may
// still run, or be the target of a rollback, so it is kept as long as the others.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
const keepRecentImages = `{
  "rules": [
    {
      "rulePriority": 1,
      "description": "all but the newest",
      "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": %d},
      "action": {"type": "expire"}
    }
  ]
}`
