// Golden prints one line "class variant hex" for each record of ZooKeeper's jute library that package proto has a
// counterpart of: variant "full" with distinct values in every field, "empty" with empty strings, buffers and vectors,
// "nulls" with null buffers and vectors and negative numbers, "nullStrings" like full but for null strings. The values
// follow from the order of the fields alone: the Go test computes them in the same way. How to run it is said there.

import java.io.ByteArrayOutputStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.jute.BinaryOutputArchive;
import org.apache.jute.Record;

public final class Golden {
    private static final String[] RECORDS = {
        "data.Id", "data.ACL", "data.Stat", "data.StatPersisted", "data.ClientInfo",
        "proto.ConnectRequest", "proto.ConnectResponse", "proto.SetWatches", "proto.SetWatches2",
        "proto.RequestHeader", "proto.MultiHeader", "proto.AuthPacket", "proto.ReplyHeader",
        "proto.GetDataRequest", "proto.SetDataRequest", "proto.ReconfigRequest", "proto.SetDataResponse",
        "proto.GetSASLRequest", "proto.SetSASLRequest", "proto.SetSASLResponse", "proto.CreateRequest",
        "proto.CreateTTLRequest", "proto.DeleteRequest", "proto.GetChildrenRequest",
        "proto.GetAllChildrenNumberRequest", "proto.GetChildren2Request", "proto.CheckVersionRequest",
        "proto.SyncRequest", "proto.SyncResponse", "proto.GetACLRequest", "proto.SetACLRequest",
        "proto.SetACLResponse", "proto.AddWatchRequest", "proto.WatcherEvent", "proto.ErrorResponse",
        "proto.CreateResponse", "proto.Create2Response", "proto.ExistsRequest", "proto.ExistsResponse",
        "proto.GetDataResponse", "proto.GetChildrenResponse", "proto.GetAllChildrenNumberResponse",
        "proto.GetChildren2Response", "proto.GetACLResponse", "proto.CheckWatchesRequest",
        "proto.RemoveWatchesRequest", "proto.GetEphemeralsRequest", "proto.GetEphemeralsResponse",
        "proto.WhoAmIResponse",
        "server.quorum.LearnerInfo", "server.quorum.QuorumPacket", "server.quorum.QuorumAuthPacket",
        "server.persistence.FileHeader",
        "txn.TxnDigest", "txn.TxnHeader", "txn.CreateTxn", "txn.CreateTTLTxn", "txn.CreateContainerTxn",
        "txn.DeleteTxn", "txn.SetDataTxn", "txn.CheckVersionTxn", "txn.SetACLTxn", "txn.CreateSessionTxn",
        "txn.CloseSessionTxn", "txn.ErrorTxn", "txn.Txn", "txn.MultiTxn",
    };

    private enum Variant { full, empty, nulls, nullStrings }

    private int counter;
    private final Variant variant;

    private Golden(Variant variant) {
        this.variant = variant;
    }

    public static void main(String[] args) throws Exception {
        for (String name : RECORDS) {
            Class<?> type = Class.forName("org.apache.zookeeper." + name);
            for (Variant variant : Variant.values()) {
                Record record = (Record) new Golden(variant).make(type);
                ByteArrayOutputStream out = new ByteArrayOutputStream();
                record.serialize(BinaryOutputArchive.getArchive(out), "record");
                StringBuilder hex = new StringBuilder();
                for (byte b : out.toByteArray()) {
                    hex.append(String.format("%02x", b));
                }
                System.out.println(name + " " + variant + " " + hex);
            }
        }
    }

    /** Makes a record and sets its fields in wire order, which is the order of its constructor's parameters. */
    private Object make(Class<?> type) throws Exception {
        for (Constructor<?> c : type.getConstructors()) {
            if (c.getParameterCount() == 0) {
                continue;
            }
            Type[] parameters = c.getGenericParameterTypes();
            Object[] values = new Object[parameters.length];
            for (int i = 0; i < values.length; i++) {
                values[i] = value(parameters[i]);
            }
            return c.newInstance(values);
        }
        throw new IllegalStateException(type + " has no constructor with fields");
    }

    private boolean isFull() {
        return variant == Variant.full || variant == Variant.nullStrings;
    }

    /** Numbers count up from 1, in the high and the low half of longs; booleans are true in the full variants. */
    private Object value(Type type) throws Exception {
        counter++;
        if (type == int.class) {
            return variant == Variant.nulls ? -counter : counter;
        }
        if (type == long.class) {
            long v = ((long) counter << 32) + counter;
            return variant == Variant.nulls ? -v : v;
        }
        if (type == boolean.class) {
            return isFull();
        }
        if (type == String.class) {
            switch (variant) {
                case full:
                    return "/s\u00e9\u20ac" + counter;
                case nullStrings:
                    return null;
                default:
                    return "";
            }
        }
        if (type == byte[].class) {
            switch (variant) {
                case full:
                case nullStrings:
                    return ("b" + counter).getBytes(StandardCharsets.UTF_8);
                case empty:
                    return new byte[0];
                default:
                    return null;
            }
        }
        if (type instanceof ParameterizedType) {
            switch (variant) {
                case full:
                case nullStrings:
                    Type element = ((ParameterizedType) type).getActualTypeArguments()[0];
                    return new ArrayList<>(Arrays.asList(value(element), value(element)));
                case empty:
                    return new ArrayList<>();
                default:
                    return null;
            }
        }
        return make((Class<?>) type);
    }
}
