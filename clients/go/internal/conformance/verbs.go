package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	pb "github.com/registry-grpc/registry-grpc/clients/go/gen/registry_grpc/v1"
	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

// method returns the full name of `Service.Method`, with messages to ask with and be answered in.
func method(short string) (string, proto.Message, proto.Message, error) {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("registry_grpc.v1." + short))
	if err != nil {
		return "", nil, nil, defectf("%s: %w", short, err)
	}
	descriptor, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return "", nil, nil, defectf("%s is no method", short)
	}
	request, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.Input().FullName())
	if err != nil {
		return "", nil, nil, defect{err}
	}
	reply, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.Output().FullName())
	if err != nil {
		return "", nil, nil, defect{err}
	}
	full := fmt.Sprintf("/%s/%s", descriptor.Parent().FullName(), descriptor.Name())
	return full, request.New().Interface(), reply.New().Interface(), nil
}

// fill fills a message from proto JSON; nothing leaves it empty.
func fill(message proto.Message, value any) error {
	if value == nil {
		return nil
	}
	text, err := json.Marshal(value)
	if err == nil {
		err = protojson.Unmarshal(text, message)
	}
	if err != nil {
		return defectf("%s: %w", message.ProtoReflect().Descriptor().Name(), err)
	}
	return nil
}

// shown returns a message as canonical proto JSON.
func shown(message proto.Message) (any, error) {
	text, err := protojson.Marshal(message)
	return json.RawMessage(text), err
}

func (d *driver) call(ctx context.Context, client *registry.Client, s step) (any, error) {
	full, request, reply, err := method(s.text("call"))
	if err != nil {
		return nil, err
	}
	if err := fill(request, s["request"]); err != nil {
		return nil, err
	}
	if err := client.Conn().Invoke(ctx, full, request, reply); err != nil {
		return nil, err
	}
	return shown(reply)
}

func (d *driver) all(ctx context.Context, client *registry.Client, s step) (any, error) {
	full, request, reply, err := method(s.text("all"))
	if err != nil {
		return nil, err
	}
	if err := fill(request, s["request"]); err != nil {
		return nil, err
	}
	limit, err := s.number("limit", -1)
	if err != nil {
		return nil, defect{err}
	}
	asked, pages := request.(registry.PageRequest)
	if _, ok := reply.(registry.PageResponse); !ok || !pages {
		return nil, defectf("%s has no pages", full)
	}
	list := func(ctx context.Context, request registry.PageRequest, options ...grpc.CallOption) (registry.PageResponse, error) {
		page, _ := proto.Clone(reply).(registry.PageResponse)
		return page, client.Conn().Invoke(ctx, full, request, page, options...)
	}
	items := []any{}
	for item, err := range registry.All(ctx, list, asked, itemsOf) {
		if err != nil {
			return nil, err
		}
		if limit >= 0 && int64(len(items)) >= limit {
			break
		}
		plain, err := shown(item)
		if err != nil {
			return nil, err
		}
		items = append(items, plain)
	}
	return map[string]any{"items": items}, nil
}

// itemsOf returns the items of a page: its one list of messages.
func itemsOf(page registry.PageResponse) []proto.Message {
	var items []proto.Message
	page.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if !field.IsList() || field.Message() == nil {
			return true
		}
		for at := range value.List().Len() {
			items = append(items, value.List().Get(at).Message().Interface())
		}
		return false
	})
	return items
}

func (d *driver) push(ctx context.Context, client *registry.Client, s step) (any, error) {
	fields := &pb.ModelVersion{}
	if err := fill(fields, s["version"]); err != nil {
		return nil, err
	}
	if parent := strings.TrimPrefix(s.text("parent"), "projects/"); parent != "" {
		inside, err := client.InProject(parent)
		if err != nil {
			return nil, err
		}
		client = inside
	}
	options := d.progress(s)
	if !s.flag("finalize", true) {
		options = append(options, registry.WithDraft())
	}
	version, err := client.Push(ctx, s.text("push"), s.text("path"), fields, options...)
	if err != nil {
		return nil, err
	}
	return shown(version)
}

func (d *driver) upload(ctx context.Context, client *registry.Client, s step) (any, error) {
	file, err := client.UploadFile(ctx, s.text("upload"), s.text("as"), s.text("file"), d.progress(s)...)
	if err != nil {
		return nil, err
	}
	return shown(file)
}

func (d *driver) stream(ctx context.Context, client *registry.Client, s step) (any, error) {
	// No seeking: what a network or a pipe gives.
	content := io.MultiReader(strings.NewReader(s.text("text")))
	file, err := client.Upload(ctx, s.text("stream"), s.text("as"), content, d.progress(s)...)
	if err != nil {
		return nil, err
	}
	return shown(file)
}

func (d *driver) pull(ctx context.Context, client *registry.Client, s step) (any, error) {
	answer, err := client.Pull(ctx, s.text("pull"), s.text("into"), d.progress(s)...)
	if err != nil {
		return nil, err
	}
	return map[string]any{"version": answer.GetVersion(), "path": s.text("into")}, nil
}

func (d *driver) read(ctx context.Context, client *registry.Client, s step) (any, error) {
	offset, err := s.number("offset", 0)
	if err != nil {
		return nil, defect{err}
	}
	length, err := s.number("length", -1)
	if err != nil {
		return nil, defect{err}
	}
	reader, err := client.OpenArtifactRange(ctx, s.text("read"), offset, length)
	if err != nil {
		return nil, err
	}
	defer func() { _ = reader.Close() }()
	digest := sha256.New()
	size, err := io.Copy(digest, reader)
	if err != nil {
		return nil, err
	}
	return map[string]any{"size": size, "sha256": hex.EncodeToString(digest.Sum(nil))}, nil
}

func (d *driver) resolve(ctx context.Context, client *registry.Client, s step) (any, error) {
	answer, err := client.Resolve(ctx, s.text("resolve"))
	if err != nil {
		return nil, err
	}
	return shown(answer)
}

func (d *driver) parse(_ context.Context, _ *registry.Client, s step) (any, error) {
	found, err := registry.ParseReference(s.text("parse"), s.text("project"))
	if err != nil {
		return nil, err
	}
	parts := map[string]any{"project": found.Project, "model": found.Model}
	if found.Number != 0 {
		parts["number"] = strconv.FormatInt(found.Number, 10)
	}
	for key, value := range map[string]string{
		"pointer": found.Pointer, "digest": found.Digest, "endpoint": found.Endpoint,
	} {
		if value != "" {
			parts[key] = value
		}
	}
	return parts, nil
}

func (d *driver) manifest(_ context.Context, _ *registry.Client, s step) (any, error) {
	var files []registry.FileDigest
	listed, _ := s["manifest"].([]any)
	for _, each := range listed {
		file, _ := each.(map[string]any)
		size, err := step(file).number("size_bytes", 0)
		if err != nil {
			return nil, defect{err}
		}
		files = append(files, registry.FileDigest{
			Path: step(file).text("path"), SHA256: step(file).text("sha256"), Size: size,
		})
	}
	return map[string]any{"digest": registry.ManifestDigest(files)}, nil
}

func (d *driver) artifactID(_ context.Context, _ *registry.Client, s step) (any, error) {
	return map[string]any{"id": registry.ArtifactID(s.text("artifact_id"))}, nil
}

func (d *driver) checkPaths(_ context.Context, _ *registry.Client, s step) (any, error) {
	return map[string]any{}, registry.CheckPaths(s.texts("check_paths"))
}

func (d *driver) wait(_ context.Context, _ *registry.Client, s step) (any, error) {
	d.line("waiting", s.text("wait"))
	if _, err := d.input.ReadString('\n'); err != nil && err != io.EOF {
		return nil, defect{err}
	}
	return map[string]any{}, nil
}
