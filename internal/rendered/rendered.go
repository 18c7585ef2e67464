// Package rendered reads what stacks would deploy from their golden files (offline.Result.Golden), which exist for any
// commit. Commands that judge a stack read them, so that they need neither the program nor Pulumi's SDK: that would
// take minutes to compile, for the commit that a branch is compared with as well.
package rendered

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/txtar"
	"gopkg.in/yaml.v3"
)

// Stack is everything that a stack would deploy.
type Stack struct {
	Name      string
	Resources []*Resource // sorted by URN; no components
	Outputs   map[string]any
	Settings  map[string]any // the configuration in the stack file, if that is among the files

	scaling map[string]Scaling // by kind, namespace and name of the target; set when it is first asked for
}

// Resource is a custom resource of a stack.
type Resource struct {
	URN, Type, Name string // as Pulumi has them: kubernetes:core/v1:Service, web
	Inputs          map[string]any
	Options         Options
	Aliases         []string // former URNs
	File, content   string
}

// Options are the resource options that decide what an update does with the object.
type Options struct {
	Protect          bool
	RetainOnDelete   bool     `yaml:"retainOnDelete"`
	ReplaceOnChanges []string `yaml:"replaceOnChanges"`
	IgnoreChanges    []string `yaml:"ignoreChanges"`
	ReplaceWith      []string `yaml:"replaceWith"` // URNs
	DeletedWith      string   `yaml:"deletedWith"`
}

// Parse returns a stack from the contents of its golden files by name.
func Parse(name string, files map[string]string) (*Stack, error) {
	stacks, err := Parser{}.Parse(map[string]map[string]string{name: files})
	return stacks[name], err
}

// ReadArchive is Parse for the output of `scaleout golden`, a txtar archive, on standard input.
func ReadArchive(stdin io.Reader) (*Stack, error) {
	content, err := io.ReadAll(stdin)
	if err != nil {
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	files := map[string]string{}
	for _, file := range txtar.Parse(content).Files {
		files[file.Name] = string(file.Data)
	}
	if len(files) == 0 {
		return nil, errors.New("standard input has no golden files")
	}
	return Parse("standard input", files)
}

// Parser parses several versions of stacks. It decodes files with the same content once, and most are the same, so
// resources share their inputs, which nobody may change.
type Parser map[string]*Resource

// Parse returns stacks from the contents of their golden files, by stack and name. A stack file may be among them.
func (p Parser) Parse(stacks map[string]map[string]string) (map[string]*Stack, error) {
	parsed, contents := map[string]*Stack{}, []*Resource{}
	for name, files := range stacks {
		if _, found := files["outputs.yaml"]; !found {
			return nil, fmt.Errorf("the golden files of stack %s have no outputs.yaml", name)
		}
		stack := &Stack{Name: name}
		if err := yaml.Unmarshal([]byte(files["outputs.yaml"]), &stack.Outputs); err != nil {
			return nil, fmt.Errorf("the golden file outputs.yaml of stack %s: %w", name, err)
		}
		for _, file := range slices.Sorted(maps.Keys(files)) {
			content := files[file]
			if strings.HasPrefix(file, "Pulumi.") {
				settings := struct{ Config map[string]any }{}
				if err := yaml.Unmarshal([]byte(content), &settings); err != nil {
					return nil, fmt.Errorf("%s of stack %s: %w", file, name, err)
				}
				stack.Settings = settings.Config
				continue
			}
			if !strings.HasSuffix(file, ".yaml") || file == "outputs.yaml" {
				continue
			}
			if p[content] == nil {
				p[content] = &Resource{File: name + "/" + file, content: content}
				contents = append(contents, p[content])
			}
			stack.Resources = append(stack.Resources, p[content])
		}
		parsed[name] = stack
	}
	if err := decodeAll(contents); err != nil {
		return nil, err
	}
	for _, stack := range parsed {
		slices.SortFunc(stack.Resources, func(a, b *Resource) int { return cmp.Compare(a.URN, b.URN) })
	}
	return parsed, nil
}

// decodeAll decodes resources on all processors.
func decodeAll(resources []*Resource) error {
	slices.SortFunc(resources, func(a, b *Resource) int { return cmp.Compare(a.File, b.File) }) // for the same message
	errs := make([]error, len(resources))
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < len(resources); i += workers {
				errs[i] = resources[i].decode()
			}
		})
	}
	group.Wait()
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	switch n := len(errs); n {
	case 0:
		return nil
	case 1:
		return errs[0]
	default: // probably for the same reason
		return fmt.Errorf("%w (the first of %d such files)", errs[0], n)
	}
}

// decode sets all fields from the content: the inputs, and a comment at the end with the rest.
func (r *Resource) decode() error {
	var about struct {
		URN     string
		Options Options
		Aliases []string
	}
	body := strings.TrimSuffix(r.content, "\n")
	start := len(body)
	for start > 0 {
		line := strings.LastIndexByte(body[:start], '\n') + 1
		if !strings.HasPrefix(body[line:], "# ") {
			break
		}
		start = max(line-1, 0)
	}
	comment := strings.ReplaceAll("\n"+strings.TrimPrefix(body[start:], "\n"), "\n# ", "\n")
	err := errors.Join(yaml.Unmarshal([]byte(body[:start]), &r.Inputs), yaml.Unmarshal([]byte(comment), &about))
	parts := strings.SplitN(about.URN, "::", 4)
	switch {
	case err != nil:
		return fmt.Errorf("golden file %s: %w", r.File, err)
	case len(parts) != 4:
		return fmt.Errorf("golden file %s has no `# urn:` line: an older version wrote it", r.File)
	}
	r.URN, r.Name, r.Options, r.Aliases = about.URN, parts[3], about.Options, about.Aliases
	r.Type = parts[2][strings.LastIndexByte(parts[2], '$')+1:]
	return nil
}

// Same reports whether two resources are identical, including options and URN.
func (r *Resource) Same(other *Resource) bool { return r.content == other.content }

// Kind returns the kind of a Kubernetes object, or else the type.
func (r *Resource) Kind() string {
	if kind, ok := r.Inputs["kind"].(string); ok && strings.HasPrefix(r.Type, "kubernetes:") {
		return kind
	}
	return r.Type
}

// Object returns kind, namespace and name of a Kubernetes object, e.g. "Service shop/web", or else "".
func (r *Resource) Object() string {
	if !strings.HasPrefix(r.Type, "kubernetes:") || r.Inputs["kind"] == nil {
		return ""
	}
	namespace := ""
	if value := r.Get("metadata", "namespace"); value != nil {
		namespace = fmt.Sprint(value) + "/"
	}
	name := r.Get("metadata", "name")
	if name == nil {
		name = "[named after " + r.Name + "]"
	}
	return fmt.Sprintf("%s %s%v", r.Kind(), namespace, name)
}

// Title returns the object, or else type and name: "aws:ecr:Repository repository".
func (r *Resource) Title() string {
	if object := r.Object(); object != "" {
		return object
	}
	typ := r.Type
	if parts := strings.Split(typ, ":"); len(parts) == 3 { // docker:index/image:Image as docker:index:Image
		module, _, _ := strings.Cut(parts[1], "/")
		if !strings.HasPrefix(typ, "kubernetes:") {
			typ = parts[0] + ":" + module + ":" + parts[2]
		}
	}
	return typ + " " + r.Name
}

// ALBAnnotation returns an annotation of an Ingress for the AWS load balancer controller, or "".
func (r *Resource) ALBAnnotation(name string) string {
	value, _ := r.Get("metadata", "annotations", "alb.ingress.kubernetes.io/"+name).(string)
	return value
}

// IsALB reports whether a resource is an Ingress of the AWS load balancer controller.
func (r *Resource) IsALB() bool { return r.Kind() == "Ingress" && r.ALBAnnotation("target-type") != "" }

// OnAWS reports whether a stack has resources of AWS, or is served by its load balancers. The others run on a machine
// of their own.
func (s *Stack) OnAWS() bool {
	return slices.ContainsFunc(s.Resources, func(r *Resource) bool {
		return strings.HasPrefix(r.Type, "aws:") || r.IsALB()
	})
}

// Parent returns the types of the components around the resource, which identify its parent but for the name.
func (r *Resource) Parent() string {
	types := strings.SplitN(r.URN, "::", 4)[2]
	return types[:max(strings.LastIndexByte(types, '$'), 0)]
}

// Get returns the value at a path of keys, or nil.
func (r *Resource) Get(path ...string) any { return Get(r.Inputs, path...) }

// Get returns the value at a path of keys, or nil.
func Get(v any, path ...string) any {
	for _, key := range path {
		object, _ := v.(map[string]any)
		v = object[key]
	}
	return v
}

// List returns the list at a path of keys, or nil.
func List(v any, path ...string) []any {
	list, _ := Get(v, path...).([]any)
	return list
}

// Child is an element of a map or list.
type Child struct {
	Path  string
	Value any
}

// Children returns the elements of a map, by key, or of a list, or nil. Paths are as Pulumi writes them, e.g.
// metadata.annotations["a/b"], but for elements of lists: these have their name in place of their index if all have
// different ones, as in spec.template.spec.containers[web], so that another position is another order, but no other
// element. The name of a text is what comes before a "=".
func Children(path string, v any) []Child {
	var children []Child
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			children = append(children, Child{join(path, key), v[key]})
		}
	case []any:
		names := names(v)
		for i, element := range v {
			name := fmt.Sprint(i)
			if names != nil {
				name = names[i]
			}
			children = append(children, Child{path + "[" + name + "]", element})
		}
	}
	return children
}

// Leaves calls f for each leaf of a value, with its path. An empty list or map is a leaf.
func Leaves(path string, v any, f func(path string, leaf any)) {
	children := Children(path, v)
	for _, child := range children {
		Leaves(child.Path, child.Value, f)
	}
	if len(children) == 0 {
		f(path, v)
	}
}

// join appends a key to a path.
func join(path, key string) string {
	switch {
	case strings.ContainsFunc(key, func(c rune) bool {
		return (c < '0' || '9' < c) && (c < 'A' || 'Z' < c) && (c < 'a' || 'z' < c) && c != '_' && c != '$'
	}):
		return path + `["` + key + `"]`
	case path == "":
		return key
	}
	return path + "." + key
}

// names returns the names of the elements of a list, or nil if one has none or two have the same.
func names(list []any) []string {
	seen := map[string]bool{}
	var names []string
	for _, element := range list {
		name, isText := element.(string)
		if isText {
			name, _, _ = strings.Cut(name, "=")
			if strings.ContainsAny(name, " \n") { // a text for people, or a script
				return nil
			}
		} else {
			name, _ = Get(element, "name").(string)
		}
		if name == "" || seen[name] {
			return nil
		}
		seen[name] = true
		names = append(names, name)
	}
	return names
}
