package offline

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestGolden(t *testing.T) {
	files, err := runDemo(t).Golden("0123456789abcdef", "<hash>")
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
	wantImage := "imageName: registry.example/app:<hash>\npassword: '[secret]'\n# options:\n#   protect: true\n"
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

func TestCompareGolden(t *testing.T) {
	golden := map[string]string{"tree.txt": "a\n", "web.yaml": "x: 1\n"}
	for _, test := range []struct {
		name, file, content string // changes one file; removes it if there is no content
		want                []string
	}{
		{"same", "tree.txt", "a\n", nil},
		{"missing", "new.yaml", "y: 2\n", []string{"missing: new.yaml"}},
		{"extra", "web.yaml", "", []string{"extra: web.yaml"}},
		{"stale", "web.yaml", "x: 2\n", []string{"stale: web.yaml (- golden, + now)\n@@ -1,1 +1,1 @@\n-x: 1\n+x: 2\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "golden")
			if err := WriteGolden(dir, golden); err != nil {
				t.Fatal(err)
			}
			now := maps.Clone(golden)
			now[test.file] = test.content
			if test.content == "" {
				delete(now, test.file)
			}
			got, err := CompareGolden(dir, now)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if err := WriteGolden(dir, now); err != nil {
				t.Fatal(err)
			}
			if got, err := CompareGolden(dir, now); err != nil || got != nil {
				t.Errorf("after writing: got %q, %v, want nothing", got, err)
			}
		})
	}
	t.Run("no folder", func(t *testing.T) {
		got, err := CompareGolden(filepath.Join(t.TempDir(), "none"), golden)
		want := []string{"missing: tree.txt", "missing: web.yaml"}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	})
}

func TestWriteGoldenReportsWhatItCannotDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteGolden(filepath.Join(file, "golden"), map[string]string{"a": "b"}); err == nil {
		t.Error("got no error below a file, want one")
	}
}
