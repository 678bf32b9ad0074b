package gateway

import (
	"bytes"
	"compress/gzip"
	"io"
	"path"
	"strings"
	"sync"

	gogo "github.com/gogo/protobuf/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// gogoFile is imported by all of etcd's files. Its descriptor is in another registry, and under another name.
const gogoFile = "gogoproto/gogo.proto"

// reflect lets clients ask what services there are and what their messages look like. etcd's files are registered under other names
// than those that they import one another by, so that a client could not put them together: it gets them renamed.
func reflect(s *grpc.Server) {
	files := &descriptions{make: sync.OnceValue(describe)}
	reflectionpb.RegisterServerReflectionServer(s, reflection.NewServerV1(reflection.ServerOptions{Services: s, DescriptorResolver: files}))
}

// descriptions are made when the first client asks.
type descriptions struct {
	make func() *protoregistry.Files
}

// FindFileByPath implements protodesc.Resolver.
func (d *descriptions) FindFileByPath(name string) (protoreflect.FileDescriptor, error) {
	return d.make().FindFileByPath(name)
}

// FindDescriptorByName implements protodesc.Resolver.
func (d *descriptions) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	return d.make().FindDescriptorByName(name)
}

// describe puts the descriptions of all files in this process together; if they do not fit, it gives them as they are.
func describe() *protoregistry.Files {
	set := &descriptorpb.FileDescriptorSet{}
	imports := map[string]string{} // what a file's last name is imported as
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		file := protodesc.ToFileDescriptorProto(f)
		describeRangeStream(file)
		set.File = append(set.File, file)
		for _, name := range file.Dependency {
			if strings.HasPrefix(name, "etcd/") {
				imports[path.Base(name)] = name
			}
		}
		return true
	})
	file, err := gogoDescription()
	if err != nil {
		return protoregistry.GlobalFiles
	}
	set.File = append(set.File, file)
	imports["descriptor.proto"] = "google/protobuf/descriptor.proto"
	rename := func(name string) string {
		if full, ok := imports[name]; ok {
			return full
		}
		return name
	}
	for _, file := range set.File {
		file.Name = proto.String(rename(file.GetName()))
		for i, name := range file.Dependency {
			file.Dependency[i] = rename(name)
		}
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return protoregistry.GlobalFiles
	}
	return files
}

func gogoDescription() (*descriptorpb.FileDescriptorProto, error) {
	r, err := gzip.NewReader(bytes.NewReader(gogo.FileDescriptor(path.Base(gogoFile))))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	file := &descriptorpb.FileDescriptorProto{}
	if err := proto.Unmarshal(b, file); err != nil {
		return nil, err
	}
	file.Name = proto.String(gogoFile)
	return file, nil
}
