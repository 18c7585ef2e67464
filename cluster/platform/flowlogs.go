package platform

import (
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// FlowLogsArgs describe the flow logs of a VPC.
type FlowLogsArgs struct {
	// VPC is the ID of the VPC. Required.
	VPC pulumi.StringInput
	// Account is the account of the VPC. Required.
	Account Account
	// Cluster is the prefix of the names. Required.
	Cluster string
	// RetentionDays is the retention of the logs, one of the values that CloudWatch accepts. Required.
	RetentionDays int
}

// Validate reports everything wrong with the arguments.
func (a *FlowLogsArgs) Validate() field.ErrorList {
	return slices.Concat(check.Set("vpc", a.VPC != nil), a.Account.Validate(), checkCluster("cluster", a.Cluster),
		CheckRetention("retentionDays", a.RetentionDays))
}

// retentions lists the values that CloudWatch accepts:
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
var retentions = []int{
	1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
}

// CheckRetention requires a retention in days that CloudWatch accepts.
func CheckRetention(name string, days int) field.ErrorList {
	return check.That(slices.Contains(retentions, days), name, days,
		"must be one of the values that CloudWatch accepts: 1, 3, 5, 7, 14, 30, 60, 90, 180, 365, ...")
}

// NewFlowLogs creates flow logs of all connections in a VPC, including rejected ones.
func NewFlowLogs(ctx *pulumi.Context, name string, args *FlowLogsArgs, opts ...pulumi.ResourceOption) (*Part, error) {
	return part(ctx, "FlowLogs", name, args.Validate(), opts, func(child pulumi.ResourceOption) (pulumi.Resource, error) {
		groupName := "/aws/vpc/" + args.Cluster
		group, err := cloudwatch.NewLogGroup(ctx, name, &cloudwatch.LogGroupArgs{
			Name: pulumi.String(groupName), RetentionInDays: pulumi.Int(args.RetentionDays),
		}, child)
		if err != nil {
			return nil, err
		}
		role, err := iam.NewRole(ctx, name, &iam.RoleArgs{
			Name: pulumi.String(args.Cluster + "-flow-logs"),
			// Without the condition a flow log of another account could write with this role.
			AssumeRolePolicy: assumableBy("vpc-flow-logs.amazonaws.com",
				map[string]map[string]string{"StringEquals": {"aws:SourceAccount": args.Account.ID}}, "sts:AssumeRole"),
		}, child)
		if err != nil {
			return nil, err
		}
		groups := args.Account.arn("logs", args.Account.Region, args.Account.ID, "log-group:")
		// https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html, limited to one log group and without
		// the permission to create it.
		permission, err := iam.NewRolePolicy(ctx, name, &iam.RolePolicyArgs{
			Name: pulumi.String("write"), Role: role.Name,
			Policy: policy(
				statement{
					Sid:      "Write",
					Action:   []string{"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"},
					Resource: []string{groups + groupName + ":*"},
				},
				// DescribeLogGroups applies to all log groups of the account.
				statement{Sid: "Find", Action: []string{"logs:DescribeLogGroups"}, Resource: []string{groups + "*"}},
			),
		}, child)
		if err != nil {
			return nil, err
		}
		return ec2.NewFlowLog(ctx, name, &ec2.FlowLogArgs{
			VpcId: args.VPC, TrafficType: pulumi.String("ALL"),
			LogDestination: group.Arn, IamRoleArn: role.Arn, Tags: tags(args.Cluster, nil),
		}, child, pulumi.DependsOn([]pulumi.Resource{permission}))
	})
}
