package offline

import (
	"reflect"
	"testing"
)

func TestGolden(t *testing.T) {
	files, err := runDemo(t).Golden()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"configmap-demo.careless.yaml", "deployment-demo.web.yaml", "docker-index-image-app.yaml",
		"horizontalpodautoscaler-demo.web.yaml", "namespace-demo.yaml", "outputs.yaml",
		"pulumi-providers-kubernetes-cluster.yaml", "secret-demo.web.yaml", "statefulset-demo.redis.yaml", "tree.txt",
	}
	if got := sortedKeys(files); !reflect.DeepEqual(got, want) {
		t.Errorf("files: got %v, want %v", got, want)
	}
	wantImage := "build:\n  args:\n    VERSION: 0000000000000000\nimageName: registry.example/app:0000000000000000\n" +
		"password: '[secret]'\n# options:\n#   protect: true\n" +
		"# urn: urn:pulumi:dev::demo::demo:index:App$docker:index/image:Image::app\n"
	if got := files["docker-index-image-app.yaml"]; got != wantImage {
		t.Errorf("image: got %q, want %q", got, wantImage)
	}
}

func TestGoldenNamesDoNotCollide(t *testing.T) {
	r := &Result{Resources: []Resource{
		{URN: "a", Type: "aws:s3/bucket:Bucket", Name: "data", Custom: true},
		{URN: "b", Type: "aws:s3/bucket:Bucket", Name: "data", Custom: true},
	}}
	files, err := r.Golden()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"aws-s3-bucket-data.yaml", "aws-s3-bucket-data-2.yaml"} {
		if _, ok := files[want]; !ok {
			t.Errorf("got %v, want %s among them", sortedKeys(files), want)
		}
	}
}
