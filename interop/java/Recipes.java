import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.CuratorWatcher;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.async.AsyncCuratorFramework;
import org.apache.curator.x.async.WatchMode;
import org.apache.curator.x.async.modeled.JacksonModelSerializer;
import org.apache.curator.x.async.modeled.ModelSpec;
import org.apache.curator.x.async.modeled.ModeledFramework;
import org.apache.curator.x.async.modeled.ZPath;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;

/**
 * Runs Apache Curator's recipes with two clients at the server that the first argument names, and prints a line for
 * each: "ok" or "FAIL", its name, and what of its results any server must answer alike.
 */
public final class Recipes {
    private static String server;

    private interface Recipe {
        Object run(CuratorFramework a, CuratorFramework b) throws Exception;
    }

    public static void main(String[] args) throws Exception {
        server = args[0];
        Map<String, Recipe> recipes = new LinkedHashMap<>();
        recipes.put("nodes", Recipes::nodes);
        recipes.put("containers", Recipes::containers);
        recipes.put("ttl", Recipes::ttl);
        recipes.put("transaction", Recipes::transaction);
        recipes.put("acl", Recipes::acl);
        recipes.put("mutex", Recipes::mutex);
        recipes.put("read-write lock", Recipes::readWriteLock);
        recipes.put("semaphore", Recipes::semaphore);
        recipes.put("multi lock", Recipes::multiLock);
        recipes.put("leader latch", Recipes::leaderLatch);
        recipes.put("leader selector", Recipes::leaderSelector);
        recipes.put("cache", Recipes::cache);
        recipes.put("old caches", Recipes::oldCaches);
        recipes.put("persistent watcher", Recipes::persistentWatcher);
        recipes.put("persistent nodes", Recipes::persistentNodes);
        recipes.put("group", Recipes::group);
        recipes.put("barriers", Recipes::barriers);
        recipes.put("counters", Recipes::counters);
        recipes.put("queue", Recipes::queue);
        recipes.put("discovery", Recipes::discovery);
        recipes.put("async", Recipes::async);
        recipes.put("modeled", Recipes::modeled);
        recipes.put("remove watches", Recipes::removeWatches);
        recipes.put("configuration", Recipes::configuration);
        recipes.put("lost session", Recipes::lostSession);
        int failed = 0;
        CuratorFramework a = client();
        CuratorFramework b = client();
        for (Map.Entry<String, Recipe> r : recipes.entrySet()) {
            try {
                System.out.println("ok " + r.getKey() + ": " + r.getValue().run(a, b));
            } catch (Exception | AssertionError e) {
                failed++;
                System.out.println("FAIL " + r.getKey() + ": " + e);
                e.printStackTrace();
            }
        }
        a.close();
        b.close();
        System.exit(failed == 0 ? 0 : 1);
    }

    private static CuratorFramework client() throws Exception {
        CuratorFramework c = CuratorFrameworkFactory.newClient(server, 6000, 5000, new RetryNTimes(10, 500));
        c.start();
        check(c.blockUntilConnected(10, TimeUnit.SECONDS));
        return c;
    }

    private static void check(boolean holds) {
        if (!holds) {
            throw new AssertionError();
        }
    }

    private static void eventually(Callable<Boolean> holds) throws Exception {
        for (long end = System.nanoTime() + 15_000_000_000L; !holds.call(); Thread.sleep(10)) {
            check(System.nanoTime() < end);
        }
    }

    private static <T> CompletableFuture<T> meanwhile(Callable<T> f) {
        return CompletableFuture.supplyAsync(() -> {
            try {
                return f.call();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
    }

    private static String data(CuratorFramework c, String path) throws Exception {
        return new String(c.getData().forPath(path));
    }

    private static Object nodes(CuratorFramework a, CuratorFramework b) throws Exception {
        a.create().creatingParentsIfNeeded().forPath("/nodes/x/y", "1".getBytes());
        a.setData().withVersion(0).forPath("/nodes/x/y", "2".getBytes());
        try {
            a.setData().withVersion(0).forPath("/nodes/x/y", "3".getBytes());
            throw new AssertionError();
        } catch (KeeperException.BadVersionException expected) {
            check(data(b, "/nodes/x/y").equals("2"));
        }
        a.create().orSetData().forPath("/nodes/x/y", "4".getBytes());
        String seq = a.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath("/nodes/p-");
        a.delete().guaranteed().deletingChildrenIfNeeded().forPath("/nodes");
        return seq.substring(seq.lastIndexOf('-'));
    }

    private static Object containers(CuratorFramework a, CuratorFramework b) throws Exception {
        a.create().creatingParentContainersIfNeeded().forPath("/containers/x/y");
        a.delete().forPath("/containers/x/y");
        eventually(() -> b.checkExists().forPath("/containers") == null);
        return "gone";
    }

    private static Object ttl(CuratorFramework a, CuratorFramework b) throws Exception {
        a.create().withTtl(200).creatingParentsIfNeeded().withMode(CreateMode.PERSISTENT_WITH_TTL).forPath("/ttl/x");
        String seq = a.create().withTtl(200).withMode(CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL).forPath("/ttl/s-");
        eventually(() -> b.getChildren().forPath("/ttl").isEmpty());
        return seq;
    }

    private static Object transaction(CuratorFramework a, CuratorFramework b) throws Exception {
        List<String> out = new ArrayList<>();
        a.transaction().forOperations(
            a.transactionOp().create().forPath("/tx"),
            a.transactionOp().create().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath("/tx/e-"),
            a.transactionOp().setData().forPath("/tx", "q".getBytes()),
            a.transactionOp().check().withVersion(1).forPath("/tx")
        ).forEach(r -> out.add(r.getType() + " " + r.getResultPath() + " " + r.getError() + " "
            + (r.getResultStat() == null ? "-" : r.getResultStat().getVersion())));
        try {
            a.transaction().forOperations(a.transactionOp().create().forPath("/ty"),
                a.transactionOp().check().withVersion(9).forPath("/tx"));
            throw new AssertionError();
        } catch (KeeperException.BadVersionException e) {
            out.add(e.getResults().size() + " results");
        }
        return out;
    }

    private static Object acl(CuratorFramework a, CuratorFramework b) throws Exception {
        try (CuratorFramework c = CuratorFrameworkFactory.builder().connectString(server)
            .authorization("digest", "user:secret".getBytes()).retryPolicy(new RetryNTimes(10, 500)).build()) {
            c.start();
            c.create().withACL(ZooDefs.Ids.CREATOR_ALL_ACL).forPath("/acl", "s".getBytes());
            try {
                a.getData().forPath("/acl");
                throw new AssertionError();
            } catch (KeeperException.NoAuthException expected) {
                return c.getACL().forPath("/acl").toString().trim().replace("\n", "");
            }
        }
    }

    private static Object mutex(CuratorFramework a, CuratorFramework b) throws Exception {
        AtomicInteger inside = new AtomicInteger();
        List<CompletableFuture<Boolean>> done = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            InterProcessMutex m = new InterProcessMutex(i % 2 == 0 ? a : b, "/mutex");
            done.add(meanwhile(() -> {
                for (int k = 0; k < 25; k++) {
                    m.acquire();
                    m.acquire();
                    check(inside.incrementAndGet() == 1);
                    inside.decrementAndGet();
                    m.release();
                    m.release();
                }
                return true;
            }));
        }
        for (CompletableFuture<Boolean> f : done) {
            f.get(60, TimeUnit.SECONDS);
        }
        return "one at a time";
    }

    private static Object readWriteLock(CuratorFramework a, CuratorFramework b) throws Exception {
        InterProcessReadWriteLock one = new InterProcessReadWriteLock(a, "/rwlock");
        InterProcessReadWriteLock two = new InterProcessReadWriteLock(b, "/rwlock");
        one.readLock().acquire();
        check(two.readLock().acquire(5, TimeUnit.SECONDS));
        check(!two.writeLock().acquire(100, TimeUnit.MILLISECONDS));
        one.readLock().release();
        two.readLock().release();
        check(two.writeLock().acquire(5, TimeUnit.SECONDS));
        check(!one.readLock().acquire(100, TimeUnit.MILLISECONDS));
        two.writeLock().release();
        check(one.readLock().acquire(5, TimeUnit.SECONDS));
        one.readLock().release();
        return "ok";
    }

    private static Object semaphore(CuratorFramework a, CuratorFramework b) throws Exception {
        InterProcessSemaphoreV2 one = new InterProcessSemaphoreV2(a, "/semaphore", 2);
        InterProcessSemaphoreV2 two = new InterProcessSemaphoreV2(b, "/semaphore", 2);
        var first = one.acquire();
        two.acquire();
        check(two.acquire(100, TimeUnit.MILLISECONDS) == null);
        one.returnLease(first);
        check(two.acquire(5, TimeUnit.SECONDS) != null);
        return "two at a time";
    }

    private static Object multiLock(CuratorFramework a, CuratorFramework b) throws Exception {
        InterProcessMultiLock both = new InterProcessMultiLock(a, List.of("/multi/1", "/multi/2"));
        check(both.acquire(5, TimeUnit.SECONDS));
        InterProcessMutex second = new InterProcessMutex(b, "/multi/2");
        check(!second.acquire(100, TimeUnit.MILLISECONDS));
        both.release();
        check(second.acquire(5, TimeUnit.SECONDS));
        second.release();
        return "ok";
    }

    private static Object leaderLatch(CuratorFramework a, CuratorFramework b) throws Exception {
        LeaderLatch one = new LeaderLatch(a, "/latch", "one");
        LeaderLatch two = new LeaderLatch(b, "/latch", "two");
        one.start();
        check(one.await(5, TimeUnit.SECONDS));
        two.start();
        eventually(() -> two.getParticipants().size() == 2);
        String first = two.getLeader().getId();
        one.close();
        check(two.await(5, TimeUnit.SECONDS));
        two.close();
        return first;
    }

    private static Object leaderSelector(CuratorFramework a, CuratorFramework b) throws Exception {
        CountDownLatch terms = new CountDownLatch(6);
        AtomicInteger leaders = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        List<LeaderSelector> selectors = new ArrayList<>();
        for (CuratorFramework c : List.of(a, b)) {
            LeaderSelector s = new LeaderSelector(c, "/selector", new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework client) {
                    most.accumulateAndGet(leaders.incrementAndGet(), Math::max);
                    leaders.decrementAndGet();
                    terms.countDown();
                }
            });
            s.autoRequeue();
            s.start();
            selectors.add(s);
        }
        check(terms.await(20, TimeUnit.SECONDS));
        selectors.forEach(LeaderSelector::close);
        return most.get();
    }

    private static Object cache(CuratorFramework a, CuratorFramework b) throws Exception {
        a.create().creatingParentsIfNeeded().forPath("/cache/0");
        ConcurrentSkipListSet<String> seen = new ConcurrentSkipListSet<>();
        CountDownLatch filled = new CountDownLatch(1);
        CuratorCache c = CuratorCache.build(b, "/cache"); // a persistent recursive watch
        c.listenable().addListener(CuratorCacheListener.builder()
            .forAll((type, old, now) -> seen.add(type + (now == null ? old : now).getPath()))
            .forInitialized(filled::countDown).build());
        c.start();
        check(filled.await(10, TimeUnit.SECONDS));
        a.create().forPath("/cache/1");
        a.create().forPath("/cache/1/2");
        eventually(() -> c.size() == 4);
        a.setData().forPath("/cache/1", "x".getBytes());
        eventually(() -> seen.contains("NODE_CHANGED/cache/1"));
        a.delete().deletingChildrenIfNeeded().forPath("/cache/1");
        eventually(() -> seen.contains("NODE_DELETED/cache/1"));
        c.close();
        return seen;
    }

    @SuppressWarnings("deprecation") // still what most programs use
    private static Object oldCaches(CuratorFramework a, CuratorFramework b) throws Exception {
        a.create().creatingParentsIfNeeded().forPath("/old/1", "a".getBytes());
        try (PathChildrenCache children = new PathChildrenCache(b, "/old", true);
            NodeCache node = new NodeCache(b, "/old/1"); TreeCache tree = new TreeCache(b, "/old")) {
            children.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            node.start(true);
            tree.start();
            a.create().forPath("/old/2");
            a.setData().forPath("/old/1", "b".getBytes());
            eventually(() -> children.getCurrentData().size() == 2);
            eventually(() -> new String(node.getCurrentData().getData()).equals("b"));
            eventually(() -> tree.getCurrentChildren("/old") != null && tree.getCurrentChildren("/old").size() == 2);
            a.delete().forPath("/old/1");
            eventually(() -> node.getCurrentData() == null && tree.getCurrentData("/old/1") == null);
            eventually(() -> children.getCurrentData().size() == 1);
        }
        return "ok";
    }

    private static Object persistentWatcher(CuratorFramework a, CuratorFramework b) throws Exception {
        List<String> out = new ArrayList<>();
        for (boolean recursive : new boolean[] {false, true}) {
            LinkedBlockingQueue<String> events = new LinkedBlockingQueue<>();
            PersistentWatcher w = new PersistentWatcher(b, "/watched", recursive);
            CountDownLatch set = new CountDownLatch(1);
            w.getResetListenable().addListener(set::countDown);
            w.getListenable().addListener(e -> events.add(e.getType() + e.getPath()));
            w.start();
            check(set.await(5, TimeUnit.SECONDS));
            a.create().forPath("/watched");
            a.create().forPath("/watched/c");
            a.setData().forPath("/watched/c", new byte[0]);
            a.delete().forPath("/watched/c");
            a.delete().forPath("/watched");
            eventually(() -> events.contains("NodeDeleted/watched"));
            w.close();
            out.addAll(events);
        }
        return out;
    }

    private static Object persistentNodes(CuratorFramework a, CuratorFramework b) throws Exception {
        PersistentNode n = new PersistentNode(a, CreateMode.EPHEMERAL, false, "/persistent/x", "d".getBytes());
        n.start();
        check(n.waitForInitialCreate(5, TimeUnit.SECONDS));
        b.delete().forPath("/persistent/x");
        eventually(() -> b.checkExists().forPath("/persistent/x") != null);
        n.setData("e".getBytes());
        eventually(() -> data(b, "/persistent/x").equals("e"));
        n.close();
        PersistentTtlNode t = new PersistentTtlNode(a, "/persistent/ttl", 1000, "d".getBytes());
        t.start();
        check(t.waitForInitialCreate(5, TimeUnit.SECONDS));
        t.close();
        return "ok";
    }

    private static Object group(CuratorFramework a, CuratorFramework b) throws Exception {
        GroupMember one = new GroupMember(a, "/group", "one");
        GroupMember two = new GroupMember(b, "/group", "two");
        one.start();
        two.start();
        eventually(() -> one.getCurrentMembers().size() == 2);
        two.close();
        eventually(() -> one.getCurrentMembers().size() == 1);
        one.close();
        return "ok";
    }

    private static Object barriers(CuratorFramework a, CuratorFramework b) throws Exception {
        DistributedBarrier barrier = new DistributedBarrier(a, "/barrier");
        barrier.setBarrier();
        var passed = meanwhile(() -> new DistributedBarrier(b, "/barrier").waitOnBarrier(10, TimeUnit.SECONDS));
        barrier.removeBarrier();
        check(passed.get());
        DistributedDoubleBarrier mine = new DistributedDoubleBarrier(a, "/double", 2);
        DistributedDoubleBarrier other = new DistributedDoubleBarrier(b, "/double", 2);
        passed = meanwhile(() -> other.enter(10, TimeUnit.SECONDS) && other.leave(10, TimeUnit.SECONDS));
        check(mine.enter(10, TimeUnit.SECONDS) && mine.leave(10, TimeUnit.SECONDS));
        check(passed.get());
        return "ok";
    }

    private static Object counters(CuratorFramework a, CuratorFramework b) throws Exception {
        DistributedAtomicLong one = new DistributedAtomicLong(a, "/counter", new RetryNTimes(100, 5));
        DistributedAtomicLong two = new DistributedAtomicLong(b, "/counter", new RetryNTimes(100, 5));
        var done = meanwhile(() -> {
            for (int i = 0; i < 50; i++) {
                check(one.increment().succeeded());
            }
            return true;
        });
        for (int i = 0; i < 50; i++) {
            check(two.add(2L).succeeded());
        }
        check(done.get());
        try (SharedCount s = new SharedCount(a, "/shared", 3); SharedCount r = new SharedCount(b, "/shared", 3)) {
            s.start();
            r.start();
            check(s.trySetCount(s.getVersionedValue(), 7));
            eventually(() -> r.getCount() == 7);
        }
        return one.get().postValue();
    }

    private static Object queue(CuratorFramework a, CuratorFramework b) throws Exception {
        SimpleDistributedQueue in = new SimpleDistributedQueue(a, "/queue");
        SimpleDistributedQueue out = new SimpleDistributedQueue(b, "/queue");
        var waits = meanwhile(() -> new String(out.take()));
        in.offer("1".getBytes());
        String first = waits.get(10, TimeUnit.SECONDS);
        in.offer("2".getBytes());
        in.offer("3".getBytes());
        return first + new String(out.poll(5, TimeUnit.SECONDS)) + new String(out.take());
    }

    private static Object discovery(CuratorFramework a, CuratorFramework b) throws Exception {
        ServiceInstance<String> instance = ServiceInstance.<String>builder().name("service").id("1").address("host").port(1).payload("p").build();
        try (var offers = ServiceDiscoveryBuilder.builder(String.class).client(a).basePath("/discovery").thisInstance(instance).watchInstances(true).build();
            var asks = ServiceDiscoveryBuilder.builder(String.class).client(b).basePath("/discovery").build()) {
            offers.start();
            asks.start();
            String names = asks.queryForNames().toString();
            try (var known = asks.serviceCacheBuilder().name("service").build()) {
                known.start();
                check(known.getInstances().size() == 1);
                offers.unregisterService(instance);
                eventually(() -> known.getInstances().isEmpty());
            }
            return names;
        }
    }

    private static Object async(CuratorFramework a, CuratorFramework b) throws Exception {
        AsyncCuratorFramework x = AsyncCuratorFramework.wrap(a);
        x.create().forPath("/async", "1".getBytes()).toCompletableFuture().get();
        var stage = x.with(WatchMode.successOnly).watched().getData().forPath("/async");
        check(new String(stage.toCompletableFuture().get()).equals("1"));
        b.setData().forPath("/async", "2".getBytes());
        return stage.event().toCompletableFuture().get(5, TimeUnit.SECONDS);
    }

    private static Object modeled(CuratorFramework a, CuratorFramework b) throws Exception {
        var spec = ModelSpec.builder(ZPath.parse("/modeled"), JacksonModelSerializer.build(String.class)).build();
        var models = ModeledFramework.wrap(AsyncCuratorFramework.wrap(a), spec);
        models.child("k").set("v").toCompletableFuture().get();
        return models.child("k").read().toCompletableFuture().get();
    }

    private static Object removeWatches(CuratorFramework a, CuratorFramework b) throws Exception {
        LinkedBlockingQueue<String> events = new LinkedBlockingQueue<>();
        CuratorWatcher w = e -> events.add(e.getType().toString());
        a.create().forPath("/remove");
        a.getData().usingWatcher(w).forPath("/remove");
        a.watchers().remove(w).forPath("/remove");
        String removed = events.poll(5, TimeUnit.SECONDS);
        a.watchers().add().withMode(AddWatchMode.PERSISTENT_RECURSIVE).usingWatcher(w).forPath("/remove");
        b.delete().forPath("/remove");
        return removed + " " + events.poll(5, TimeUnit.SECONDS);
    }

    private static Object configuration(CuratorFramework a, CuratorFramework b) throws Exception {
        try {
            a.reconfig().joining("server.2=localhost:1:2;3").forEnsemble();
            throw new AssertionError();
        } catch (KeeperException e) {
            return e.code() + " '" + new String(a.getConfig().forEnsemble()) + "'";
        }
    }

    private static Object lostSession(CuratorFramework a, CuratorFramework b) throws Exception {
        TreeSet<ConnectionState> states = new TreeSet<>();
        CountDownLatch again = new CountDownLatch(1);
        try (CuratorFramework c = client()) {
            c.getConnectionStateListenable().addListener((x, state) -> {
                states.add(state);
                if (state == ConnectionState.RECONNECTED) {
                    again.countDown();
                }
            });
            c.create().withMode(CreateMode.EPHEMERAL).forPath("/lost");
            ZooKeeper z = c.getZookeeperClient().getZooKeeper();
            // Another connection takes the session and closes it.
            ZooKeeper thief = new ZooKeeper(server, 6000, e -> { }, z.getSessionId(), z.getSessionPasswd());
            eventually(() -> thief.getState().isConnected());
            thief.close();
            check(again.await(20, TimeUnit.SECONDS));
            check(c.checkExists().forPath("/lost") == null);
            return states.contains(ConnectionState.LOST);
        }
    }
}
