package platform

import (
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

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

// NewFlowLogs logs all connections in the VPC of a cluster, even rejected ones, and keeps the logs for so many days.
func NewFlowLogs(stack *component.Builder, name string, cluster Cluster, vpc pulumi.StringInput, days int) *Part {
	return part(stack, "FlowLogs", name, CheckRetention("days", days), nil, func(b *component.Builder) pulumi.Resource {
		groupName := "/aws/vpc/" + cluster.Name
		group := component.Create(b, cloudwatch.NewLogGroup, "", &cloudwatch.LogGroupArgs{
			Name: pulumi.String(groupName), RetentionInDays: pulumi.Int(days),
		})
		role := component.Create(b, iam.NewRole, "", &iam.RoleArgs{
			Name: pulumi.String(cluster.Name + "-flow-logs"),
			// Without the condition a flow log of another account could write with this role.
			AssumeRolePolicy: assumableBy("vpc-flow-logs.amazonaws.com",
				map[string]map[string]string{"StringEquals": {"aws:SourceAccount": cluster.Account}}, "sts:AssumeRole"),
		})
		groups := cluster.arn("logs:" + cluster.Region + ":" + cluster.Account + ":log-group:")
		// https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html, but only for one existing log group.
		permission := component.Create(b, iam.NewRolePolicy, "", &iam.RolePolicyArgs{
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
		})
		return component.Create(b, ec2.NewFlowLog, "", &ec2.FlowLogArgs{
			VpcId: vpc, TrafficType: pulumi.String("ALL"),
			LogDestination: group.Arn, IamRoleArn: role.Arn, Tags: tags(cluster.Name),
		}, pulumi.DependsOn([]pulumi.Resource{permission}))
	})
}
