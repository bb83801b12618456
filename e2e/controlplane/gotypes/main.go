// Command gotypes prints, as JSON, how Go's encoding treats every field of the built-in kinds that the fake API server
// serves: its name, its Go type, and what is left out when it is empty. OpenAPI does not say any of this, and it is what
// decides the exact body of an answer and the wording of a decoding error. Run by e2e/record_schemas.py.
package main

import (
	"encoding/json"
	"os"
	"path"
	"reflect"
	"strings"

	apps "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	events "k8s.io/api/events/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

var roots = []any{
	core.Pod{}, core.Service{}, core.ServiceAccount{}, core.ConfigMap{}, core.Secret{}, core.Node{}, core.Namespace{},
	core.Event{}, core.Endpoints{}, apps.Deployment{}, apps.ReplicaSet{}, autoscaling.HorizontalPodAutoscaler{},
	autoscalingv1.Scale{}, policy.PodDisruptionBudget{}, coordination.Lease{}, rbac.Role{}, rbac.RoleBinding{},
	rbac.ClusterRole{}, rbac.ClusterRoleBinding{}, events.Event{}, discovery.EndpointSlice{},
	apiextensions.CustomResourceDefinition{},
}

// opaque types have an encoding of their own; the reader knows them by name.
var opaque = map[string]bool{
	"io.k8s.apimachinery.pkg.api.resource.Quantity": true, "io.k8s.apimachinery.pkg.util.intstr.IntOrString": true,
	"io.k8s.apimachinery.pkg.apis.meta.v1.Time": true, "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": true,
	"io.k8s.apimachinery.pkg.apis.meta.v1.Duration": true, "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": true,
	"io.k8s.apimachinery.pkg.runtime.RawExtension":                                          true,
	"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON":                         true,
	"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray":       true,
	"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool":        true,
	"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": true,
}

type field struct {
	Name string `json:"name"`
	// Type is the Go type: *T, []T, map[string]T, a scalar's kind, or the OpenAPI name of a struct.
	Type string `json:"type"`
	// Go is the name of a scalar's own type in decoding errors, when it has one.
	Go string `json:"go,omitempty"`
	// Omit is "empty" or "zero" when Go leaves the field out in that case.
	Omit string `json:"omit,omitempty"`
}

var structs = map[string][]field{}

func main() {
	for _, root := range roots {
		visit(reflect.TypeOf(root))
	}
	encoder := json.NewEncoder(os.Stdout)
	if err := encoder.Encode(structs); err != nil {
		panic(err)
	}
}

// openAPIName is the definition name kube-openapi gives a Go type: the package path with its host reversed.
func openAPIName(t reflect.Type) string {
	segments := strings.Split(t.PkgPath(), "/")
	host := strings.Split(segments[0], ".")
	for i, j := 0, len(host)-1; i < j; i, j = i+1, j-1 {
		host[i], host[j] = host[j], host[i]
	}
	segments[0] = strings.Join(host, ".")
	return strings.Join(append(segments, t.Name()), ".")
}

// visit names the type as a field has it, and records the structs it leads to.
func visit(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + visit(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "[]" + visit(t.Elem())
	case reflect.Map:
		return "map[string]" + visit(t.Elem())
	case reflect.Struct:
		name := openAPIName(t)
		if _, seen := structs[name]; !seen && !opaque[name] {
			structs[name] = nil
			structs[name] = fields(t)
		}
		return name
	default:
		return t.Kind().String()
	}
}

func fields(t reflect.Type) []field {
	result := []field{}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" && (f.Anonymous || strings.Contains(options, "inline")) {
			result = append(result, fields(f.Type)...)
			continue
		}
		entry := field{Name: name, Type: visit(f.Type), Go: goName(f.Type)}
		switch {
		case strings.Contains(options, "omitzero"):
			entry.Omit = "zero"
		case strings.Contains(options, "omitempty"):
			entry.Omit = "empty"
		}
		result = append(result, entry)
	}
	return result
}

// goName is the type in "cannot unmarshal … of type": a named one of ours, or "" for a plain scalar.
func goName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return strings.TrimPrefix(path.Base(t.String()), ".")
}
