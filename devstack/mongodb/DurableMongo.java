import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import java.util.List;
import java.util.Set;
import org.h2.mvstore.MVStore;

/**
 * A MongoDB-compatible server over one file, for development and tests: {@code DurableMongo HOST PORT FILE}.
 *
 * <p>An acknowledged write is in the file before its answer leaves, so it survives {@code kill -9} of this
 * process. The library alone commits once a second and loses what came in between.
 */
public final class DurableMongo {
    /** Commands that change nothing. Anything not named here commits, so a forgotten one costs time, not data. */
    private static final Set<String> READING = Set.of(
        "find", "count", "distinct", "getmore", "killcursors", "hello", "ismaster", "ping", "buildinfo",
        "listcollections", "listindexes", "listdatabases", "serverstatus", "getlog", "dbstats", "collstats",
        "connectionstatus", "hostinfo", "getcmdlineopts", "endsessions", "validate", "explain");

    /** The library's own 5.0 says wire version 8, which current drivers refuse; MongoDB 5.0 speaks 13. */
    private static final class Version implements MongoVersion {
        @Override
        public List<Integer> getVersionArray() {
            return List.of(5, 0, 0);
        }

        @Override
        public int getWireVersion() {
            return 13;
        }
    }

    private static final class DurableBackend extends H2Backend {
        DurableBackend(MVStore store) {
            super(store);
            version(new Version());
        }

        @Override
        public Document handleMessage(MongoMessage message) {
            try {
                return super.handleMessage(message);
            } finally {
                // Also after an error: a bulk write may have stored some of its documents before it failed.
                // With nothing new to store, commit() returns at once: racing writers share one commit.
                if (writes(message.getDocument())) {
                    commit();
                }
            }
        }

        private static boolean writes(Document command) {
            String name = command.keySet().iterator().next().toLowerCase();
            if (name.equals("aggregate")) {
                String pipeline = String.valueOf(command.get("pipeline"));
                return pipeline.contains("$out") || pipeline.contains("$merge");
            }
            return !READING.contains(name);
        }
    }

    private DurableMongo() {}

    public static void main(String[] arguments) throws InterruptedException {
        if (arguments.length != 3) {
            System.err.println("usage: DurableMongo HOST PORT FILE");
            System.exit(64);
        }
        MVStore store = new MVStore.Builder()
            .fileName(arguments[2])
            .autoCommitDisabled()
            .autoCompactFillRate(90)
            .cacheSize(64)
            .open();
        store.setRetentionTime(0); // reuse freed chunks at once; the default keeps them 45 s and the file swells
        DurableBackend backend = new DurableBackend(store);
        MongoServer server = new MongoServer(backend);
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
        server.bind(arguments[0], Integer.parseInt(arguments[1]));
        System.out.println("listening on " + arguments[0] + ":" + arguments[1]);
        Thread.currentThread().join();
    }
}
