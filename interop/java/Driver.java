import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

/**
 * Executes the steps of interop scenarios with ZooKeeper's Java client: one step a line on standard input, one result a
 * line on standard output.
 */
public final class Driver {
    private static final long WAIT_MS = 30_000;
    private static final Map<String, Session> SESSIONS = new HashMap<>();

    /** One client handle; it is also its only watcher, so that an event is recorded once however often it is watched. */
    private static final class Session implements Watcher {
        ZooKeeper zk;
        private Event.KeeperState state = Event.KeeperState.Disconnected;
        private final List<String> events = new ArrayList<>();

        @Override
        public synchronized void process(WatchedEvent e) {
            if (e.getType() == Event.EventType.None) {
                state = e.getState();
            } else {
                events.add(e.getType().getIntValue() + ":" + e.getPath());
            }
            notifyAll();
        }

        synchronized String await(Event.KeeperState... wanted) throws InterruptedException {
            long deadline = System.currentTimeMillis() + WAIT_MS;
            while (!Arrays.asList(wanted).contains(state)) {
                long left = deadline - System.currentTimeMillis();
                if (left <= 0) {
                    return "timeout in " + state;
                }
                wait(left);
            }
            return state == Event.KeeperState.SyncConnected ? "connected" : state.toString().toLowerCase();
        }

        synchronized String take() {
            String s = String.join(";", events);
            events.clear();
            return s;
        }
    }

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String result;
            try {
                result = step(line.split(" "));
            } catch (KeeperException e) {
                result = "err=" + e.code().intValue();
                if (e.getResults() != null) {
                    result += " results=" + results(e.getResults());
                }
            } catch (IllegalArgumentException e) {
                result = "err=client";
            } catch (Exception e) {
                result = "err=exception " + e;
                e.printStackTrace();
            }
            out.println(result);
        }
        System.exit(0);
    }

    private static String step(String[] w) throws Exception {
        if (w[0].equals("connect") || w[0].equals("resume")) {
            return connect(w);
        }
        Session s = SESSIONS.get(w[1]);
        ZooKeeper zk = s.zk;
        Stat stat = new Stat();
        switch (w[0]) {
        case "waitstate":
            switch (w[2]) {
            case "connected":
                return "state=" + s.await(Watcher.Event.KeeperState.SyncConnected);
            case "expired":
                return "state=" + s.await(Watcher.Event.KeeperState.Expired);
            default:
                return "state=" + s.await(Watcher.Event.KeeperState.Disconnected);
            }
        case "close":
            zk.close();
            return "ok";
        case "auth":
            zk.addAuthInfo(w[2], w[3].getBytes(StandardCharsets.UTF_8));
            return "ok";
        case "create":
            return "path=" + (w.length > 6
                ? zk.create(w[2], data(w[3]), acl(w[4]), CreateMode.fromFlag(Integer.parseInt(w[5])), null, Long.parseLong(w[6]))
                : zk.create(w[2], data(w[3]), acl(w[4]), CreateMode.fromFlag(Integer.parseInt(w[5]))));
        case "create2": {
            String p = zk.create(w[2], data(w[3]), acl(w[4]), CreateMode.fromFlag(Integer.parseInt(w[5])), stat,
                w.length > 6 ? Long.parseLong(w[6]) : -1);
            return "path=" + p + " stat=" + stat(stat);
        }
        case "delete":
            zk.delete(w[2], Integer.parseInt(w[3]));
            return "ok";
        case "exists": {
            Stat st = zk.exists(w[2], w[3].equals("1"));
            return st == null ? "err=-101" : "stat=" + stat(st);
        }
        case "get": {
            byte[] b = zk.getData(w[2], w[3].equals("1"), stat);
            return "data=" + hex(b) + " stat=" + stat(stat);
        }
        case "set":
            return "stat=" + stat(zk.setData(w[2], data(w[3]), Integer.parseInt(w[4])));
        case "getacl": {
            List<ACL> a = zk.getACL(w[2], stat);
            return "acl=" + acls(a) + " stat=" + stat(stat);
        }
        case "setacl":
            return "stat=" + stat(zk.setACL(w[2], acl(w[3]), Integer.parseInt(w[4])));
        case "children":
            return "children=" + String.join(",", zk.getChildren(w[2], w[3].equals("1")));
        case "children2": {
            List<String> c = zk.getChildren(w[2], w[3].equals("1"), stat);
            return "children=" + String.join(",", c) + " stat=" + stat(stat);
        }
        case "sync":
            return sync(zk, w[2]);
        case "multi":
            return "results=" + results(zk.multi(ops(w)));
        case "multiread":
            return "results=" + results(zk.multi(ops(w)));
        case "addwatch":
            zk.addWatch(w[2], w[3].equals("1") ? AddWatchMode.PERSISTENT_RECURSIVE : AddWatchMode.PERSISTENT);
            return "ok";
        case "removewatches":
            zk.removeWatches(w[2], s, Watcher.WatcherType.valueOf(w[3]), false);
            return "ok";
        case "removeall":
            zk.removeAllWatches(w[2], Watcher.WatcherType.valueOf(w[3]), false);
            return "ok";
        case "whoami": {
            List<String> ids = new ArrayList<>();
            for (ClientInfo i : zk.whoAmI()) {
                ids.add(i.getAuthScheme() + ":" + i.getUser());
            }
            ids.sort(null);
            return "ids=" + String.join(",", ids);
        }
        case "ephemerals": {
            List<String> e = zk.getEphemerals(w[2]);
            return "children=" + String.join(",", e);
        }
        case "allchildren":
            return "n=" + zk.getAllChildrenNumber(w[2]);
        case "events":
            return events(s);
        default:
            return "err=unknown-verb";
        }
    }

    private static String connect(String[] w) throws Exception {
        Session s = new Session();
        int timeout = Integer.parseInt(w[3]);
        s.zk = w[0].equals("connect")
            ? new ZooKeeper(w[2], timeout, s)
            : new ZooKeeper(w[2], timeout, s, Long.parseUnsignedLong(w[4], 16), unhex(w[5]));
        SESSIONS.put(w[1], s);
        String state = s.await(Watcher.Event.KeeperState.SyncConnected, Watcher.Event.KeeperState.Expired);
        if (!state.equals("connected")) {
            return "state=" + state;
        }
        return "sid=" + Long.toHexString(s.zk.getSessionId()) + " passwd=" + hex(s.zk.getSessionPasswd())
            + " timeout=" + s.zk.getSessionTimeout();
    }

    private static String sync(ZooKeeper zk, String path) throws Exception {
        CountDownLatch done = new CountDownLatch(1);
        String[] result = new String[1];
        zk.sync(path, (rc, p, ctx) -> {
            result[0] = rc == 0 ? "path=" + p : "err=" + rc;
            done.countDown();
        }, null);
        done.await(WAIT_MS, TimeUnit.MILLISECONDS);
        return result[0];
    }

    /** Completions run on the event thread after the events that came before them. */
    private static String events(Session s) throws Exception {
        CountDownLatch done = new CountDownLatch(1);
        s.zk.exists("/", false, (rc, p, ctx, st) -> done.countDown(), null);
        done.await(WAIT_MS, TimeUnit.MILLISECONDS);
        return "events=" + s.take();
    }

    private static List<Op> ops(String[] w) throws Exception {
        List<Op> ops = new ArrayList<>();
        for (String text : String.join(" ", Arrays.copyOfRange(w, 2, w.length)).split(" \\| ")) {
            String[] o = text.split(" ");
            switch (o[0]) {
            case "create":
            case "create2":
                ops.add(o.length > 5 ? Op.create(o[1], data(o[2]), acl(o[3]), Integer.parseInt(o[4]), Long.parseLong(o[5]))
                    : Op.create(o[1], data(o[2]), acl(o[3]), Integer.parseInt(o[4])));
                break;
            case "delete":
                ops.add(Op.delete(o[1], Integer.parseInt(o[2])));
                break;
            case "set":
                ops.add(Op.setData(o[1], data(o[2]), Integer.parseInt(o[3])));
                break;
            case "check":
                ops.add(Op.check(o[1], Integer.parseInt(o[2])));
                break;
            case "get":
                ops.add(Op.getData(o[1]));
                break;
            case "children":
                ops.add(Op.getChildren(o[1]));
                break;
            default:
                throw new IllegalStateException(o[0]);
            }
        }
        return ops;
    }

    private static String results(List<OpResult> results) {
        List<String> all = new ArrayList<>();
        for (OpResult r : results) {
            if (r instanceof OpResult.CreateResult) {
                OpResult.CreateResult c = (OpResult.CreateResult) r;
                all.add("create:" + c.getPath() + (c.getStat() == null ? "" : ":" + stat(c.getStat())));
            } else if (r instanceof OpResult.SetDataResult) {
                all.add("set:" + stat(((OpResult.SetDataResult) r).getStat()));
            } else if (r instanceof OpResult.DeleteResult) {
                all.add("delete");
            } else if (r instanceof OpResult.CheckResult) {
                all.add("check");
            } else if (r instanceof OpResult.GetDataResult) {
                OpResult.GetDataResult g = (OpResult.GetDataResult) r;
                all.add("get:" + hex(g.getData()) + ":" + stat(g.getStat()));
            } else if (r instanceof OpResult.GetChildrenResult) {
                all.add("children:" + String.join(",", ((OpResult.GetChildrenResult) r).getChildren()));
            } else {
                all.add("err:" + ((OpResult.ErrorResult) r).getErr());
            }
        }
        return String.join(";", all);
    }

    private static String stat(Stat s) {
        return s.getCzxid() + "/" + s.getMzxid() + "/" + s.getCtime() + "/" + s.getMtime() + "/" + s.getVersion() + "/"
            + s.getCversion() + "/" + s.getAversion() + "/" + Long.toHexString(s.getEphemeralOwner()) + "/"
            + s.getDataLength() + "/" + s.getNumChildren() + "/" + s.getPzxid();
    }

    private static List<ACL> acl(String text) {
        List<ACL> list = new ArrayList<>();
        if (!text.equals("-")) {
            for (String a : text.split(",")) {
                String[] f = a.split(":", 3);
                list.add(new ACL(Integer.parseInt(f[0]), new Id(f[1], f[2])));
            }
        }
        return list;
    }

    private static String acls(List<ACL> list) {
        List<String> all = new ArrayList<>();
        for (ACL a : list) {
            all.add(a.getPerms() + ":" + a.getId().getScheme() + ":" + a.getId().getId());
        }
        return String.join(",", all);
    }

    private static byte[] data(String hex) {
        return hex.equals("-") ? null : hex.equals("=") ? new byte[0] : unhex(hex);
    }

    private static byte[] unhex(String hex) {
        byte[] b = new byte[hex.length() / 2];
        for (int i = 0; i < b.length; i++) {
            b[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
        }
        return b;
    }

    private static String hex(byte[] b) {
        if (b == null) {
            return "-";
        }
        if (b.length == 0) {
            return "=";
        }
        StringBuilder s = new StringBuilder();
        for (byte x : b) {
            s.append(String.format("%02x", x));
        }
        return s.toString();
    }
}
