// Command generate writes the Go code of the contract from proto/: clients/go/gen, and the list of services in package
// registry.
//
// It needs the Go toolchain and nothing else: the compiler is protocompile (that of buf), the plugins are tools of this
// module, and google/api and google/rpc come from the genproto packages that the generated code imports.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	_ "google.golang.org/genproto/googleapis/api/annotations" // google/api/*.proto
	_ "google.golang.org/genproto/googleapis/rpc/status"      // google/rpc/status.proto
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/pluginpb"
)

const goModule = "github.com/registry-grpc/registry-grpc/clients/go"

var plugins = []string{"protoc-gen-go", "protoc-gen-go-grpc"}

func main() {
	protos := flag.String("proto", "", "directory of the contract")
	out := flag.String("out", "", "directory of the Go module")
	check := flag.Bool("check", false, "change nothing; fail when a file is not what would be written")
	flag.Parse()
	if err := run(*protos, *out, *check); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(protos, out string, check bool) error {
	names, files, err := compile(protos)
	if err != nil {
		return err
	}
	request := requestOf(names, files)
	made := map[string]string{}
	if made[servicesFile], err = services(files); err != nil {
		return err
	}
	for _, plugin := range plugins {
		response, err := call(plugin, request)
		if err != nil {
			return err
		}
		for _, file := range response.GetFile() {
			made[file.GetName()] = file.GetContent()
		}
	}
	found, err := generated(out)
	if err != nil {
		return err
	}
	if check {
		return compare(made, found)
	}
	return write(out, made, found)
}

// compile returns the files of the contract and their names.
func compile(protos string) ([]string, linker.Files, error) {
	paths, err := filepath.Glob(filepath.Join(protos, "registry_grpc/v1/*.proto"))
	if err != nil || len(paths) == 0 {
		return nil, nil, fmt.Errorf("no contract in %s/registry_grpc/v1 (%w)", protos, errors.Join(err, fs.ErrNotExist))
	}
	var names []string
	for _, path := range paths {
		name, err := filepath.Rel(protos, path)
		if err != nil {
			return nil, nil, err
		}
		names = append(names, filepath.ToSlash(name))
	}
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(protocompile.CompositeResolver{
			&protocompile.SourceResolver{ImportPaths: []string{protos}},
			protocompile.ResolverFunc(linked),
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), names...)
	return names, files, err
}

// linked answers with the descriptor of a file that is linked into this program.
func linked(path string) (protocompile.SearchResult, error) {
	file, err := protoregistry.GlobalFiles.FindFileByPath(path)
	return protocompile.SearchResult{Desc: file}, err
}

// requestOf returns what a plugin is asked: every file of the contract, with all that they import in front of them.
func requestOf(names []string, files linker.Files) *pluginpb.CodeGeneratorRequest {
	request := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: names,
		Parameter:      proto.String("module=" + goModule),
	}
	seen := map[string]bool{}
	var visit func(protoreflect.FileDescriptor)
	visit = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for imported := range file.Imports().Len() {
			visit(file.Imports().Get(imported).FileDescriptor)
		}
		request.ProtoFile = append(request.ProtoFile, protodesc.ToFileDescriptorProto(file))
	}
	for _, file := range files {
		visit(file)
	}
	return request
}

// call runs a plugin of this module; go keeps what it built in its own cache.
func call(plugin string, request *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	asked, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	command := exec.Command("go", "tool", plugin)
	command.Stdin, command.Stderr = bytes.NewReader(asked), os.Stderr
	answer, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", plugin, err)
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(answer, response); err != nil {
		return nil, fmt.Errorf("%s: %w", plugin, err)
	}
	if response.Error != nil {
		return nil, fmt.Errorf("%s: %s", plugin, response.GetError())
	}
	return response, nil
}

// generated returns the present files that are written here, by their path in the module.
func generated(out string) (map[string]string, error) {
	found := map[string]string{}
	root := os.DirFS(out)
	err := fs.WalkDir(root, "gen", func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == "gen" {
			return fs.SkipAll
		}
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, path)
		found[path] = string(content)
		return err
	})
	if err != nil {
		return nil, err
	}
	content, err := fs.ReadFile(root, servicesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	found[servicesFile] = string(content)
	return found, err
}

func compare(made, found map[string]string) error {
	var stale []string
	for path, content := range made {
		if found[path] != content {
			stale = append(stale, path)
		}
	}
	for path := range found {
		if _, ok := made[path]; !ok {
			stale = append(stale, path)
		}
	}
	if len(stale) == 0 {
		return nil
	}
	slices.Sort(stale)
	return fmt.Errorf("not what proto/ gives; run clients/go/generate: %s", strings.Join(stale, ", "))
}

func write(out string, made, found map[string]string) error {
	for path := range found {
		if _, ok := made[path]; ok {
			continue
		}
		if err := os.Remove(filepath.Join(out, path)); err != nil {
			return err
		}
	}
	for path, content := range made {
		if found[path] == content {
			continue
		}
		target := filepath.Join(out, path)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
