import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.KeyValue;
import io.etcd.jetcd.Watch;
import io.etcd.jetcd.kv.GetResponse;
import io.etcd.jetcd.kv.TxnResponse;
import io.etcd.jetcd.lease.LeaseKeepAliveResponse;
import io.etcd.jetcd.op.Cmp;
import io.etcd.jetcd.op.CmpTarget;
import io.etcd.jetcd.op.Op;
import io.etcd.jetcd.options.DeleteOption;
import io.etcd.jetcd.options.GetOption;
import io.etcd.jetcd.options.LeaseOption;
import io.etcd.jetcd.options.PutOption;
import io.etcd.jetcd.options.WatchOption;
import io.etcd.jetcd.support.Observers;
import io.etcd.jetcd.watch.WatchEvent;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;

/**
 * Uses the servers that the arguments name through jetcd. For each line of input, "before" and "after" the death of their leader, it
 * prints one with what any etcd must answer alike, or with what went wrong.
 */
public final class Jetcd {
    private static final int WRITES = 20;

    private final Client a;
    private final Client b;
    private final Set<String> watched = new LinkedHashSet<>();
    private long lastWatched;
    private String wrong = "";
    private volatile String trouble = "none";
    private final AtomicInteger renewals = new AtomicInteger();
    private long session;
    private ByteSequence lock;
    private CompletableFuture<ByteSequence> waiting;
    private Watch.Watcher watcher;

    private Jetcd(String[] endpoints) {
        a = Client.builder().endpoints(endpoints).build();
        b = Client.builder().endpoints(endpoints).build();
    }

    public static void main(String[] args) throws Exception {
        Jetcd j = new Jetcd(args);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String out;
            try {
                out = line.equals("before") ? j.before() : j.after();
            } catch (Exception | AssertionError e) {
                e.printStackTrace();
                out = "FAIL " + e;
            }
            System.out.println(out.replace('\n', ' '));
        }
        System.exit(0);
    }

    private String before() throws Exception {
        return keys() + "; " + transactions() + "; " + leases() + "; " + election() + "; " + hold() + "; " + write("before");
    }

    /** What was held before is held still, and everything goes on. */
    private String after() throws Exception {
        String written = write("after");
        int n = renewals.get();
        await(() -> renewals.get() > n);
        var left = until(() -> a.getLeaseClient().timeToLive(session, LeaseOption.builder().withAttachedKeys().build()));
        check(left.getTTL() > 0 && left.getGrantedTTL() == 12);
        check(!waiting.isDone());
        until(() -> a.getLockClient().unlock(lock));
        ByteSequence second = waiting.get(20, TimeUnit.SECONDS);
        until(() -> b.getLockClient().unlock(second));
        watcher.close();
        return written + "; lease has " + left.getKeys().size() + " keys; " + keys() + "; " + transactions() + "; " + leases() + "; " + election();
    }

    private String keys() throws Exception {
        var kv = a.getKVClient();
        until(() -> kv.delete(bytes("k/"), DeleteOption.builder().isPrefix(true).build()));
        for (String name : List.of("k/a", "k/c", "k/b")) {
            until(() -> kv.put(bytes(name), bytes("1")));
        }
        long revision = until(() -> kv.put(bytes("k/b"), bytes("2"), PutOption.builder().withPrevKV().build())).getHeader().getRevision();
        GetResponse sorted = until(() -> b.getKVClient().get(bytes("k/"), GetOption.builder().isPrefix(true).withLimit(2)
            .withSortField(GetOption.SortTarget.KEY).withSortOrder(GetOption.SortOrder.DESCEND).build()));
        GetResponse old = until(() -> b.getKVClient().get(bytes("k/b"), GetOption.builder().withRevision(revision - 1).build()));
        var gone = until(() -> kv.delete(bytes("k/c"), DeleteOption.builder().withPrevKV(true).build()));
        return "keys " + show(sorted.getKvs()) + " of " + sorted.getCount() + " more " + sorted.isMore() + ", before " + show(old.getKvs())
            + ", deleted " + gone.getDeleted() + " " + show(gone.getPrevKvs());
    }

    private String transactions() throws Exception {
        var kv = a.getKVClient();
        until(() -> kv.put(bytes("t"), bytes("x")));
        List<String> seen = new ArrayList<>();
        for (String want : List.of("x", "none")) {
            TxnResponse r = until(() -> kv.txn()
                .If(new Cmp(bytes("t"), Cmp.Op.EQUAL, CmpTarget.value(bytes(want))), new Cmp(bytes("none"), Cmp.Op.EQUAL, CmpTarget.version(0)))
                .Then(Op.put(bytes("t"), bytes("y"), PutOption.DEFAULT), Op.get(bytes("t"), GetOption.DEFAULT))
                .Else(Op.get(bytes("t"), GetOption.DEFAULT)).commit());
            seen.add(r.isSucceeded() + " " + r.getPutResponses().size() + " " + show(r.getGetResponses().get(0).getKvs()));
        }
        return "transactions " + seen;
    }

    private String leases() throws Exception {
        long id = until(() -> a.getLeaseClient().grant(60)).getID();
        until(() -> a.getKVClient().put(bytes("l/1"), bytes("v"), PutOption.builder().withLeaseId(id).build()));
        int attached = until(() -> b.getLeaseClient().timeToLive(id, LeaseOption.builder().withAttachedKeys().build())).getKeys().size();
        a.getLeaseClient().revoke(id).get(10, TimeUnit.SECONDS);
        long count = until(() -> b.getKVClient().get(bytes("l/1"))).getCount();
        String refused = "nothing";
        try {
            b.getLeaseClient().revoke(id).get(10, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            refused = e.getCause().getMessage();
        }
        return "lease with " + attached + " keys, revoked " + count + ", again: " + refused;
    }

    private String election() throws Exception {
        long id = until(() -> a.getLeaseClient().grant(60)).getID();
        var won = until(() -> a.getElectionClient().campaign(bytes("e"), id, bytes("me")));
        String leader = show(List.of(until(() -> b.getElectionClient().leader(bytes("e"))).getKv()));
        until(() -> a.getElectionClient().resign(won.getLeader()));
        return "elected " + leader.endsWith("=me");
    }

    /** Opens what has to outlive the leader: a watch, a lease that is kept alive, a lock, and somebody who waits for it. */
    private String hold() throws Exception {
        long revision = until(() -> a.getKVClient().get(bytes("w/"))).getHeader().getRevision();
        WatchOption option = WatchOption.builder().isPrefix(true).withRevision(revision + 1).build();
        watcher = b.getWatchClient().watch(bytes("w/"), option, response -> {
            synchronized (watched) {
                for (WatchEvent e : response.getEvents()) {
                    if (e.getKeyValue().getModRevision() <= lastWatched) {
                        wrong = "revision " + e.getKeyValue().getModRevision() + " after " + lastWatched;
                    }
                    lastWatched = e.getKeyValue().getModRevision();
                    watched.add(show(List.of(e.getKeyValue())));
                }
            }
        }, e -> trouble = e.toString()); // jetcd tells that a connection is lost, and goes on at another server
        session = until(() -> a.getLeaseClient().grant(12)).getID();
        a.getLeaseClient().keepAlive(session, Observers.<LeaseKeepAliveResponse>observer(r -> renewals.incrementAndGet()));
        lock = until(() -> a.getLockClient().lock(bytes("lock"), session)).getKey();
        long other = until(() -> b.getLeaseClient().grant(60)).getID();
        waiting = CompletableFuture.supplyAsync(() -> {
            try {
                return until(() -> b.getLockClient().lock(bytes("lock"), other)).getKey();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
        await(() -> until(() -> b.getKVClient().get(bytes("lock/"), GetOption.builder().isPrefix(true).build())).getCount() == 2);
        await(() -> renewals.get() > 0);
        return "held";
    }

    /** Writes keys, and waits until the watch has told of all. */
    private String write(String name) throws Exception {
        Set<String> want = new LinkedHashSet<>();
        for (int i = 0; i < WRITES; i++) {
            String key = "w/" + name + i;
            until(() -> a.getKVClient().put(bytes(key), bytes("v")));
            want.add(key + "=v");
        }
        await(() -> {
            synchronized (watched) {
                return watched.containsAll(want) || !wrong.isEmpty();
            }
        });
        synchronized (watched) {
            check(wrong.isEmpty());
            return "watched " + watched.size();
        }
    }

    private static ByteSequence bytes(String s) {
        return ByteSequence.from(s, StandardCharsets.UTF_8);
    }

    private static String show(List<KeyValue> kvs) {
        return kvs.stream().map(kv -> kv.getKey() + "=" + kv.getValue()).collect(Collectors.joining(" "));
    }

    private void check(boolean ok) {
        if (!ok) {
            throw new AssertionError(wrong);
        }
    }

    private void await(Callable<Boolean> f) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(25);
        while (!f.call()) {
            if (System.nanoTime() > end) {
                throw new TimeoutException("last trouble of the watch: " + trouble);
            }
            Thread.sleep(20);
        }
    }

    /** Asks until there is an answer, for as long as servers may be without a leader. */
    private static <T> T until(Callable<CompletableFuture<T>> f) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(25);
        while (true) {
            CompletableFuture<T> asked = f.call();
            try {
                return asked.get(15, TimeUnit.SECONDS);
            } catch (ExecutionException | TimeoutException e) {
                if (System.nanoTime() > end) {
                    throw e;
                }
                Thread.sleep(50);
            }
        }
    }
}
