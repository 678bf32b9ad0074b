import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;

/**
 * Uses Apache Curator's recipes at the server of the first argument: a command a line on standard input, answers on
 * output. hold KIND ID PATH acquires in a thread of its own and says "held ID", after drop ID "dropped ID"; try KIND PATH
 * answers yes or no.
 */
public final class RecipesDriver {
    private interface Holder {
        boolean acquire(long millis) throws Exception;

        void release() throws Exception;
    }

    private static CuratorFramework curator;
    private static final Map<String, CountDownLatch> held = new ConcurrentHashMap<>();

    public static void main(String[] args) throws Exception {
        curator = CuratorFrameworkFactory.newClient(args[0], 6000, 5000, new RetryNTimes(10, 500));
        curator.start();
        curator.blockUntilConnected();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] w = line.split(" ");
            try {
                obey(w);
            } catch (Exception e) {
                e.printStackTrace();
                say("failed " + e);
            }
        }
        System.exit(0);
    }

    private static synchronized void say(String answer) {
        System.out.println(answer);
    }

    private static void obey(String[] w) throws Exception {
        switch (w[0]) {
            case "hold" -> hold(w[1], w[2], w[3]);
            case "drop" -> held.get(w[1]).countDown();
            case "try" -> {
                Holder h = holder(w[1], w[2]);
                boolean got = h.acquire(300);
                if (got) {
                    h.release();
                }
                say(got ? "yes" : "no");
            }
            case "leader" -> say(new LeaderLatch(curator, w[1]).getLeader().getId());
            case "put" -> put(w[1], w[2], w[3], Long.parseLong(w[4]));
            case "take" -> take(w[1], w[2]);
            case "count" -> say("" + new DistributedAtomicLong(curator, w[1], new RetryNTimes(9, 10)).add(Long.parseLong(w[2])).postValue());
            case "set-barrier" -> {
                new DistributedBarrier(curator, w[1]).setBarrier();
                say("set");
            }
            case "remove-barrier" -> {
                new DistributedBarrier(curator, w[1]).removeBarrier();
                say("removed");
            }
            case "register" -> {
                ServiceDiscovery<Object> d = discovery(w[1]);
                d.registerService(ServiceInstance.builder().name(w[2]).id(w[3]).address(w[4]).port(Integer.parseInt(w[5])).payload(Map.of("weight", 7)).build());
                say("registered");
            }
            case "instances" -> {
                var found = new TreeMap<String, String>();
                for (ServiceInstance<Object> i : discovery(w[1]).queryForInstances(w[2])) {
                    found.put(i.getId(), i.getAddress() + ":" + i.getPort() + " " + i.getPayload() + " " + i.isEnabled());
                }
                say(found.toString());
            }
            case "join" -> {
                new GroupMember(curator, w[1], w[2], w[3].getBytes()).start();
                say("joined");
            }
            case "members" -> {
                GroupMember m = new GroupMember(curator, w[1], "asks");
                m.start();
                for (long end = System.nanoTime() + 15_000_000_000L; m.getCurrentMembers().size() < 3 && System.nanoTime() < end; Thread.sleep(10)) { }
                say(new TreeMap<>(m.getCurrentMembers()).keySet().toString());
                m.close();
            }
            default -> say("what?");
        }
    }

    private static ServiceDiscovery<Object> discovery(String base) throws Exception {
        ServiceDiscovery<Object> d = ServiceDiscoveryBuilder.builder(Object.class).client(curator).basePath(base).build();
        d.start();
        return d;
    }

    private static Holder holder(String kind, String path) throws Exception {
        return switch (kind) {
            case "lock" -> mutex(new InterProcessMutex(curator, path));
            case "read" -> mutex(new InterProcessReadWriteLock(curator, path).readLock());
            case "write" -> mutex(new InterProcessReadWriteLock(curator, path).writeLock());
            case "semaphore" -> new Holder() {
                private final InterProcessSemaphoreV2 s = new InterProcessSemaphoreV2(curator, path, 2);
                private Lease lease;

                public boolean acquire(long millis) throws Exception {
                    lease = s.acquire(millis, TimeUnit.MILLISECONDS);
                    return lease != null;
                }

                public void release() {
                    s.returnLease(lease);
                }
            };
            case "election" -> new Holder() {
                private final LeaderLatch latch = new LeaderLatch(curator, path, "curator");

                public boolean acquire(long millis) throws Exception {
                    latch.start();
                    return latch.await(millis, TimeUnit.MILLISECONDS);
                }

                public void release() throws Exception {
                    latch.close();
                }
            };
            case "barrier" -> new Holder() {
                public boolean acquire(long millis) throws Exception {
                    return new DistributedBarrier(curator, path).waitOnBarrier(millis, TimeUnit.MILLISECONDS);
                }

                public void release() { }
            };
            case "double" -> new Holder() {
                private final DistributedDoubleBarrier b = new DistributedDoubleBarrier(curator, path, 2);

                public boolean acquire(long millis) throws Exception {
                    return b.enter(millis, TimeUnit.MILLISECONDS);
                }

                public void release() throws Exception {
                    b.leave();
                }
            };
            default -> throw new IllegalArgumentException(kind);
        };
    }

    private static Holder mutex(InterProcessMutex m) {
        return new Holder() {
            public boolean acquire(long millis) throws Exception {
                return m.acquire(millis, TimeUnit.MILLISECONDS);
            }

            public void release() throws Exception {
                m.release();
            }
        };
    }

    /** Locks belong to threads: the one that acquires releases. */
    private static void hold(String kind, String id, String path) {
        CountDownLatch drop = new CountDownLatch(1);
        held.put(id, drop);
        Thread t = new Thread(() -> {
            try {
                Holder h = holder(kind, path);
                if (!h.acquire(60_000)) {
                    say("failed " + id);
                    return;
                }
                say("held " + id);
                drop.await();
                h.release();
                say("dropped " + id);
            } catch (Exception e) {
                e.printStackTrace();
                say("failed " + id);
            }
        });
        t.setDaemon(true);
        t.start();
    }

    private static final QueueSerializer<String> TEXT = new QueueSerializer<>() {
        public byte[] serialize(String s) {
            return s.getBytes();
        }

        public String deserialize(byte[] b) {
            return new String(b);
        }
    };

    private static void put(String kind, String path, String item, long order) throws Exception {
        QueueBuilder<String> b = QueueBuilder.builder(curator, null, TEXT, path).lockPath(path + "-locks");
        switch (kind) {
            case "queue" -> {
                var q = b.buildQueue();
                q.start();
                q.put(item);
                q.flushPuts(10, TimeUnit.SECONDS);
                q.close();
            }
            case "priority" -> {
                var q = b.buildPriorityQueue(0);
                q.start();
                q.put(item, (int) order);
                q.flushPuts(10, TimeUnit.SECONDS);
                q.close();
            }
            default -> {
                var q = b.buildDelayQueue();
                q.start();
                q.put(item, order);
                q.flushPuts(10, TimeUnit.SECONDS);
                q.close();
            }
        }
        say("put");
    }

    /** Takes two items, or what there is within a second. */
    private static void take(String kind, String path) throws Exception {
        LinkedBlockingQueue<String> taken = new LinkedBlockingQueue<>();
        QueueConsumer<String> consumer = new QueueConsumer<>() {
            public void consumeMessage(String s) {
                taken.add(s);
            }

            public void stateChanged(CuratorFramework c, ConnectionState s) { }
        };
        QueueBuilder<String> b = QueueBuilder.builder(curator, consumer, TEXT, path).lockPath(path + "-locks");
        AutoCloseable q;
        switch (kind) {
            case "queue" -> {
                var x = b.buildQueue();
                x.start();
                q = x;
            }
            case "priority" -> {
                var x = b.buildPriorityQueue(0);
                x.start();
                q = x;
            }
            default -> {
                var x = b.buildDelayQueue();
                x.start();
                q = x;
            }
        }
        StringBuilder all = new StringBuilder("took");
        for (int i = 0; i < 2; i++) {
            String s = taken.poll(i == 0 ? 10 : 2, TimeUnit.SECONDS);
            all.append(" ").append(s);
        }
        for (long end = System.nanoTime() + 10_000_000_000L; curator.checkExists().forPath(path).getNumChildren() > 0 && System.nanoTime() < end; Thread.sleep(10)) { }
        q.close();
        say(all.toString());
    }
}
