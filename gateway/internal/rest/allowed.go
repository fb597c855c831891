package rest

import (
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	rowlock "github.com/rowlock/rowlock/gen/go/rowlock/v1"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

var verbs = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// allowed knows which methods a path takes, which the mux that serves calls does not tell.
type allowed struct{ paths map[string]*runtime.ServeMux }

// readPaths reads them from the contract.
func readPaths() (*allowed, error) {
	found := &allowed{paths: make(map[string]*runtime.ServeMux)}
	for _, verb := range verbs {
		found.paths[verb] = runtime.NewServeMux(runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptReserved))
	}
	var failed error
	protoregistry.GlobalFiles.RangeFilesByPackage(
		rowlock.File_rowlock_v1_errors_proto.Package(),
		func(file protoreflect.FileDescriptor) bool {
			for one := range file.Services().Len() {
				methods := file.Services().Get(one).Methods()
				for index := range methods.Len() {
					rule, _ := proto.GetExtension(methods.Get(index).Options(), annotations.E_Http).(*annotations.HttpRule)
					if failed = found.add(rule); failed != nil {
						return false
					}
				}
			}
			return true
		},
	)
	return found, failed
}

func (a *allowed) add(rule *annotations.HttpRule) error {
	for verb, path := range map[string]string{
		http.MethodGet: rule.GetGet(), http.MethodPost: rule.GetPost(), http.MethodPut: rule.GetPut(),
		http.MethodPatch: rule.GetPatch(), http.MethodDelete: rule.GetDelete(),
	} {
		if path == "" {
			continue
		}
		matched := func(w http.ResponseWriter, _ *http.Request, _ map[string]string) { w.WriteHeader(http.StatusOK) }
		if err := a.paths[verb].HandlePath(verb, path, matched); err != nil {
			return err
		}
	}
	for _, other := range rule.GetAdditionalBindings() {
		if err := a.add(other); err != nil {
			return err
		}
	}
	return nil
}

// at lists the methods of a request's path.
func (a *allowed) at(r *http.Request) []string {
	var found []string
	for _, verb := range verbs {
		asked := r.Clone(r.Context())
		asked.Method, asked.Body, asked.Header = verb, http.NoBody, http.Header{}
		seen := &onlyStatus{}
		if a.paths[verb].ServeHTTP(seen, asked); seen.code == http.StatusOK {
			found = append(found, verb)
			if verb == http.MethodGet {
				found = append(found, http.MethodHead)
			}
		}
	}
	return append(found, http.MethodOptions)
}

// onlyStatus takes an answer and remembers its status.
type onlyStatus struct {
	code   int
	header http.Header
}

func (o *onlyStatus) Header() http.Header {
	if o.header == nil {
		o.header = make(http.Header)
	}
	return o.header
}

func (o *onlyStatus) Write(text []byte) (int, error) { return len(text), nil }

func (o *onlyStatus) WriteHeader(code int) { o.code = code }
