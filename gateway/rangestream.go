package gateway

import (
	"context"
	"encoding/binary"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"zebu/mvcc"
)

// kvService is etcd's KV service with what 3.7 has added to it: RangeStream.
var kvService = grpc.ServiceDesc{
	ServiceName: "etcdserverpb.KV",
	HandlerType: (*pb.KVServer)(nil),
	Methods: []grpc.MethodDesc{
		kvMethod("Range", pb.KVServer.Range),
		kvMethod("Put", pb.KVServer.Put),
		kvMethod("DeleteRange", pb.KVServer.DeleteRange),
		kvMethod("Txn", pb.KVServer.Txn),
		kvMethod("Compact", pb.KVServer.Compact),
	},
	Streams: []grpc.StreamDesc{{
		StreamName:    rangeStreamName,
		ServerStreams: true,
		Handler: func(server any, stream grpc.ServerStream) error {
			r := &pb.RangeRequest{}
			if err := stream.RecvMsg(r); err != nil {
				return err
			}
			return server.(*kvServer).rangeStream(r, stream)
		},
	}},
	Metadata: "rpc.proto",
}

const rangeStreamName = "RangeStream"

// kvMethod does what the code generated for 3.6 does, which keeps its table to itself.
func kvMethod[Q, A any](name string, method func(pb.KVServer, context.Context, *Q) (*A, error)) grpc.MethodDesc {
	full := "/etcdserverpb.KV/" + name
	handle := func(server any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		r := new(Q)
		if err := decode(r); err != nil {
			return nil, err
		}
		return intercept(ctx, r, &grpc.UnaryServerInfo{Server: server, FullMethod: full}, func(ctx context.Context, r any) (any, error) {
			return method(server.(pb.KVServer), ctx, r.(*Q))
		})
	}
	return grpc.MethodDesc{MethodName: name, Handler: handle}
}

// firstPart is how many keys the first message of a stream has.
const firstPart = 10

// rangeStream answers a range request in parts of about the size of a request, so that neither side has all of a great answer in
// memory at once. All parts are of one revision, whatever is written or compacted meanwhile.
func (s *kvServer) rangeStream(r *pb.RangeRequest, stream grpc.ServerStream) error {
	if err := mvcc.Check(r, s.MaxTxnOps); err != nil {
		return err
	}
	if !mvcc.InParts(r) {
		return notInParts(r)
	}
	ctx := stream.Context()
	if !r.Serializable {
		if err := s.readPoint(ctx); err != nil {
			return err
		}
	}
	var read *mvcc.Read
	err := s.read(ctx, r, func(state *mvcc.Store) (err error) {
		read, err = state.StartRange(r)
		return err
	})
	if err != nil {
		return err
	}
	defer read.Close()
	for n := firstPart; ctx.Err() == nil; {
		part, last, err := read.Part(n)
		if err != nil {
			return s.failed(err)
		}
		if last {
			s.fill(part.Header)
		}
		if err := stream.SendMsg(&rangePart{part}); err != nil || last {
			return err
		}
		n = nextPart(n, part.Size(), s.MaxRequestBytes)
	}
	return ctx.Err()
}

// notInParts says why, as etcd does.
func notInParts(r *pb.RangeRequest) error {
	if r.SortTarget != pb.RangeRequest_KEY || r.SortOrder == pb.RangeRequest_DESCEND {
		return status.Error(codes.Unimplemented, "RangeStream does not support custom sort orders")
	}
	return status.Error(codes.Unimplemented, "RangeStream does not support revision filters")
}

// nextPart is how many keys the part after one of n keys and size bytes should have.
func nextPart(n, size, target int) int {
	switch {
	case size < target/2:
		return 2 * n
	case size > 2*target:
		return max(1, n/2)
	}
	return n
}

// rangePart is a RangeStreamResponse: a message with a RangeResponse as its field 1.
type rangePart struct{ part *pb.RangeResponse }

const rangePartTag = 1<<3 | 2

func (p *rangePart) buffers() (mem.BufferSlice, error) {
	body, err := marshal(p.part)
	if err != nil {
		return nil, err
	}
	head := binary.AppendUvarint([]byte{rangePartTag}, uint64(body.Len()))
	return mem.BufferSlice{mem.SliceBuffer(head), body}, nil
}

// describeRangeStream adds to the description of etcd 3.6's services, if file is that, what is not in it.
func describeRangeStream(file *descriptorpb.FileDescriptorProto) {
	const response = "RangeStreamResponse"
	for _, service := range file.Service {
		if file.GetPackage()+"."+service.GetName() != kvService.ServiceName {
			continue
		}
		service.Method = append(service.Method, &descriptorpb.MethodDescriptorProto{
			Name: proto.String(rangeStreamName), ServerStreaming: proto.Bool(true),
			InputType: proto.String(".etcdserverpb.RangeRequest"), OutputType: proto.String(".etcdserverpb." + response),
		})
		file.MessageType = append(file.MessageType, &descriptorpb.DescriptorProto{
			Name: proto.String(response),
			Field: []*descriptorpb.FieldDescriptorProto{{
				Name: proto.String("range_response"), JsonName: proto.String("rangeResponse"), Number: proto.Int32(1),
				Label:    descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
				Type:     descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(),
				TypeName: proto.String(".etcdserverpb.RangeResponse"),
			}},
		})
		return
	}
}
