package registry

import (
	"context"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// PageRequest is the request of a list call.
type PageRequest interface {
	proto.Message
	GetPageToken() string
}

// PageResponse is the answer of a list call: one page.
type PageResponse interface {
	proto.Message
	GetNextPageToken() string
}

// All yields every item of a list call, fetching pages as they are needed; it begins at the request's page token. An error
// is the last thing it yields. The request is not changed.
//
//	for model, err := range registry.All(ctx, client.Models.ListModels, request, (*pb.ListModelsResponse).GetModels) {
func All[Request PageRequest, Response PageResponse, Item any](
	ctx context.Context,
	list func(context.Context, Request, ...grpc.CallOption) (Response, error),
	request Request,
	items func(Response) []Item,
) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		asked := proto.CloneOf(request)
		for {
			page, err := list(ctx, asked)
			if err != nil {
				var none Item
				yield(none, err)
				return
			}
			for _, item := range items(page) {
				if !yield(item, nil) {
					return
				}
			}
			token := page.GetNextPageToken()
			if token == "" {
				return
			}
			message := asked.ProtoReflect()
			message.Set(message.Descriptor().Fields().ByName("page_token"), protoreflect.ValueOfString(token))
		}
	}
}
