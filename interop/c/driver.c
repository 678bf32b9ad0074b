/* Executes the steps of interop scenarios with ZooKeeper's C client: a step a line on standard input, a result a line
 * on standard output. */
#include <inttypes.h>
#include <stdarg.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zookeeper.h>

enum { MAX_SESSIONS = 16, MAX_WORDS = 256, MAX_OPS = 32, LINE = 1 << 20, EVENTS = 1 << 16, WAIT_SECONDS = 30 };

struct session {
    char name[16];
    zhandle_t *zh;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    int state, barrier, rc;
    char events[EVENTS];
};

static struct session sessions[MAX_SESSIONS];
static int session_count;
static char out[LINE];

static void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void print(const char *format, ...) {
    va_list args;
    size_t n = strlen(out);
    va_start(args, format);
    vsnprintf(out + n, sizeof out - n, format, args);
    va_end(args);
}

/* A session's only watcher, so that an event is recorded once however often it is watched. */
static void watch(zhandle_t *zh, int type, int state, const char *path, void *context) {
    struct session *s = context;
    (void)zh;
    pthread_mutex_lock(&s->mu);
    if (type == ZOO_SESSION_EVENT) {
        s->state = state;
    } else {
        size_t n = strlen(s->events);
        snprintf(s->events + n, sizeof s->events - n, "%s%d:%s", n ? ";" : "", type, path);
    }
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mu);
}

static struct timespec deadline(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += WAIT_SECONDS;
    return t;
}

/* Waits for one of two states; 0 if time runs out. */
static int await_state(struct session *s, int a, int b) {
    struct timespec until = deadline();
    int ok = 1;
    pthread_mutex_lock(&s->mu);
    while (ok && s->state != a && s->state != b)
        ok = pthread_cond_timedwait(&s->changed, &s->mu, &until) == 0;
    ok = s->state == a || s->state == b ? s->state : 0;
    pthread_mutex_unlock(&s->mu);
    return ok;
}

static void print_state(int state) {
    print("state=%s", state == ZOO_CONNECTED_STATE         ? "connected"
                      : state == ZOO_EXPIRED_SESSION_STATE ? "expired"
                      : state == 0                         ? "timeout"
                                                           : "disconnected");
}

static struct session *find(const char *name) {
    for (int i = 0; i < session_count; i++)
        if (strcmp(sessions[i].name, name) == 0)
            return &sessions[i];
    return NULL;
}

static int unhex(const char *text, char *to) {
    int n = strlen(text) / 2;
    for (int i = 0; i < n; i++) {
        unsigned byte;
        sscanf(text + 2 * i, "%2x", &byte);
        to[i] = byte;
    }
    return n;
}

static void print_hex(const char *b, int n) {
    if (n < 0)
        print("-");
    else if (n == 0)
        print("=");
    for (int i = 0; i < n; i++)
        print("%02x", (unsigned char)b[i]);
}

/* Decodes a data word into memory that is freed by nobody: the process is short. NULL and -1 are null. */
static char *data(const char *word, int *n) {
    char *b;
    *n = -1;
    if (strcmp(word, "-") == 0)
        return NULL;
    b = malloc(strlen(word) / 2 + 1);
    *n = strcmp(word, "=") == 0 ? 0 : unhex(word, b);
    return b;
}

static struct ACL_vector acl(char *word) {
    struct ACL_vector v = {0, NULL};
    if (strcmp(word, "-") == 0)
        return v;
    v.data = calloc(MAX_OPS, sizeof *v.data);
    for (char *save, *a = strtok_r(strdup(word), ",", &save); a; a = strtok_r(NULL, ",", &save)) {
        char *scheme = strchr(a, ':') + 1, *id = strchr(scheme, ':');
        *id++ = 0;
        v.data[v.count].perms = atoi(a);
        v.data[v.count].id.scheme = scheme;
        v.data[v.count++].id.id = id;
    }
    return v;
}

static void print_stat(const struct Stat *s) {
    print("%" PRId64 "/%" PRId64 "/%" PRId64 "/%" PRId64 "/%d/%d/%d/%" PRIx64 "/%d/%d/%" PRId64, s->czxid, s->mzxid, s->ctime,
          s->mtime, s->version, s->cversion, s->aversion, s->ephemeralOwner, s->dataLength, s->numChildren, s->pzxid);
}

static void print_strings(const char *key, const struct String_vector *v) {
    print("%s", key);
    for (int i = 0; i < v->count; i++)
        print("%s%s", i ? "," : "", v->data[i]);
}

static void connect_session(char **w, int n) {
    struct session *s = &sessions[session_count++];
    clientid_t id;
    int state;
    snprintf(s->name, sizeof s->name, "%s", w[1]);
    pthread_mutex_init(&s->mu, NULL);
    pthread_cond_init(&s->changed, NULL);
    if (n > 5) {
        id.client_id = strtoull(w[4], NULL, 16);
        unhex(w[5], id.passwd);
    }
    s->zh = zookeeper_init(w[2], watch, atoi(w[3]), n > 5 ? &id : NULL, s, 0);
    state = await_state(s, ZOO_CONNECTED_STATE, ZOO_EXPIRED_SESSION_STATE);
    if (state != ZOO_CONNECTED_STATE) {
        print_state(state);
        return;
    }
    const clientid_t *got = zoo_client_id(s->zh);
    print("sid=%" PRIx64 " passwd=", got->client_id);
    print_hex(got->passwd, 16);
    print(" timeout=%d", zoo_recv_timeout(s->zh));
}

static void done(int rc, const void *context) {
    struct session *s = (struct session *)context;
    pthread_mutex_lock(&s->mu);
    s->rc = rc;
    s->barrier = 1;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mu);
}

static void stat_done(int rc, const struct Stat *st, const void *context) {
    (void)st;
    done(rc, context);
}

static void string_done(int rc, const char *value, const void *context) {
    (void)value;
    done(rc, context);
}

/* Waits for a completion, which the library runs after the watchers of the events that came before it. */
static int await_done(struct session *s) {
    struct timespec until = deadline();
    int ok = 1;
    pthread_mutex_lock(&s->mu);
    while (!s->barrier && ok)
        ok = pthread_cond_timedwait(&s->changed, &s->mu, &until) == 0;
    s->barrier = 0;
    pthread_mutex_unlock(&s->mu);
    return ok ? s->rc : ZOPERATIONTIMEOUT;
}

struct op_memory {
    char path[512];
    struct Stat stat;
    struct ACL_vector acl;
};

static int multi_ops(char **w, int n, zoo_op_t *ops, struct op_memory *mem) {
    int count = 0;
    for (int i = 2; i < n; i++) {
        struct op_memory *m = &mem[count];
        int len;
        char *b;
        if (strcmp(w[i], "create") == 0) {
            b = data(w[i + 2], &len);
            m->acl = acl(w[i + 3]);
            zoo_create_op_init(&ops[count], w[i + 1], b, len, &m->acl, atoi(w[i + 4]), m->path, sizeof m->path);
        } else if (strcmp(w[i], "delete") == 0) {
            zoo_delete_op_init(&ops[count], w[i + 1], atoi(w[i + 2]));
        } else if (strcmp(w[i], "set") == 0) {
            b = data(w[i + 2], &len);
            zoo_set_op_init(&ops[count], w[i + 1], b, len, atoi(w[i + 3]), &m->stat);
        } else if (strcmp(w[i], "check") == 0) {
            zoo_check_op_init(&ops[count], w[i + 1], atoi(w[i + 2]));
        }
        count++;
        while (i < n && strcmp(w[i], "|") != 0)
            i++;
    }
    return count;
}

static int multi(struct session *s, char **w, int n) {
    zoo_op_t ops[MAX_OPS];
    zoo_op_result_t results[MAX_OPS];
    static struct op_memory mem[MAX_OPS];
    memset(mem, 0, sizeof mem);
    memset(results, 0, sizeof results);
    int count = multi_ops(w, n, ops, mem), rc = zoo_multi(s->zh, count, ops, results);
    print("%src=%d results=", rc ? "failed " : "", rc);
    for (int i = 0; i < count; i++) {
        print("%s", i ? ";" : "");
        if (rc != ZOK || results[i].err != ZOK)
            print("err:%d", results[i].err);
        else if (ops[i].type == 1)
            print("create:%s", mem[i].path);
        else if (ops[i].type == 5) {
            print("set:");
            print_stat(&mem[i].stat);
        } else
            print("%s", ops[i].type == 2 ? "delete" : "check");
    }
    return ZOK;
}

static int create(struct session *s, char **w, int n) {
    char path[1024] = "";
    struct Stat st;
    int len, rc;
    char *b = data(w[3], &len);
    struct ACL_vector a = acl(w[4]);
    int64_t ttl = n > 6 ? atoll(w[6]) : -1;
    if (strcmp(w[0], "create") == 0) {
        rc = zoo_create_ttl(s->zh, w[2], b, len, &a, atoi(w[5]), ttl, path, sizeof path);
        if (rc == ZOK)
            print("path=%s", path);
        return rc;
    }
    rc = zoo_create2_ttl(s->zh, w[2], b, len, &a, atoi(w[5]), ttl, path, sizeof path, &st);
    if (rc == ZOK) {
        print("path=%s stat=", path);
        print_stat(&st);
    }
    return rc;
}

static int read_step(struct session *s, char **w, int n) {
    static char buffer[LINE];
    int len = sizeof buffer, watching = strcmp(w[n - 1], "1") == 0, rc;
    watcher_fn fn = watching ? watch : NULL;
    struct Stat st;
    struct String_vector strings;
    struct ACL_vector a;
    if (strcmp(w[0], "exists") == 0) {
        if ((rc = zoo_wexists(s->zh, w[2], fn, s, &st)) == ZOK)
            print("stat=");
    } else if (strcmp(w[0], "get") == 0) {
        if ((rc = zoo_wget(s->zh, w[2], fn, s, buffer, &len, &st)) == ZOK) {
            print("data=");
            print_hex(buffer, len);
            print(" stat=");
        }
    } else if (strcmp(w[0], "getacl") == 0) {
        if ((rc = zoo_get_acl(s->zh, w[2], &a, &st)) == ZOK) {
            print("acl=");
            for (int i = 0; i < a.count; i++)
                print("%s%d:%s:%s", i ? "," : "", a.data[i].perms, a.data[i].id.scheme, a.data[i].id.id);
            print(" stat=");
        }
    } else if (strcmp(w[0], "children") == 0) {
        if ((rc = zoo_wget_children(s->zh, w[2], fn, s, &strings)) == ZOK)
            print_strings("children=", &strings);
        return rc;
    } else {
        if ((rc = zoo_wget_children2(s->zh, w[2], fn, s, &strings, &st)) == ZOK) {
            print_strings("children=", &strings);
            print(" stat=");
        }
    }
    if (rc == ZOK)
        print_stat(&st);
    return rc;
}

static int write_step(struct session *s, char **w) {
    int len, rc;
    char *b;
    struct Stat st;
    if (strcmp(w[0], "delete") == 0) {
        if ((rc = zoo_delete(s->zh, w[2], atoi(w[3]))) == ZOK)
            print("ok");
    } else if (strcmp(w[0], "set") == 0) {
        b = data(w[3], &len);
        if ((rc = zoo_set2(s->zh, w[2], b, len, atoi(w[4]), &st)) == ZOK) {
            print("stat=");
            print_stat(&st);
        }
    } else { /* setacl: the library drops the stat */
        struct ACL_vector a = acl(w[3]);
        if ((rc = zoo_set_acl(s->zh, w[2], atoi(w[4]), &a)) == ZOK)
            print("ok");
    }
    return rc;
}

static int is(const char *verb, const char *list) {
    const char *p = strstr(list, verb);
    size_t n = strlen(verb);
    return p && p[n] == ' ' && (p == list || p[-1] == ' ');
}

static int remove_watches(struct session *s, char **w) {
    ZooWatcherType type = strcmp(w[3], "Children") == 0 ? ZWATCHTYPE_CHILD
                          : strcmp(w[3], "Data") == 0   ? ZWATCHTYPE_DATA
                                                        : ZWATCHTYPE_ANY;
    int rc = strcmp(w[0], "removeall") == 0 ? zoo_remove_all_watches(s->zh, w[2], type, 0)
                                            : zoo_remove_watches(s->zh, w[2], type, watch, s, 0);
    if (rc == ZOK)
        print("ok");
    return rc;
}

static int step(char **w, int n) {
    struct session *s = find(w[1]);
    int rc;
    if (is(w[0], "connect resume "))
        return connect_session(w, n), ZOK;
    if (is(w[0], "create create2 "))
        return create(s, w, n);
    if (is(w[0], "exists get getacl children children2 "))
        return read_step(s, w, n);
    if (is(w[0], "set delete setacl "))
        return write_step(s, w);
    if (is(w[0], "multi "))
        return multi(s, w, n);
    if (is(w[0], "removewatches removeall "))
        return remove_watches(s, w);
    if (is(w[0], "waitstate ")) {
        int wanted = strcmp(w[2], "connected") == 0 ? ZOO_CONNECTED_STATE
                     : strcmp(w[2], "expired") == 0 ? ZOO_EXPIRED_SESSION_STATE
                                                    : ZOO_CONNECTING_STATE;
        print_state(await_state(s, wanted, wanted));
        return ZOK;
    }
    if (is(w[0], "close ")) {
        rc = zookeeper_close(s->zh);
        if (rc == ZOK)
            print("ok");
        return rc;
    }
    if (is(w[0], "auth ")) {
        if ((rc = zoo_add_auth(s->zh, w[2], w[3], strlen(w[3]), done, s)) == ZOK && (rc = await_done(s)) == ZOK)
            print("ok");
        return rc;
    }
    if (is(w[0], "sync ")) {
        if ((rc = zoo_async(s->zh, w[2], string_done, s)) == ZOK && (rc = await_done(s)) == ZOK)
            print("path=%s", w[2]);
        return rc;
    }
    if (is(w[0], "events ")) {
        zoo_aexists(s->zh, "/", 0, stat_done, s);
        await_done(s);
        pthread_mutex_lock(&s->mu);
        print("events=%s", s->events);
        s->events[0] = 0;
        pthread_mutex_unlock(&s->mu);
        return ZOK;
    }
    print("err=unknown-verb");
    return ZOK;
}

int main(void) {
    static char line[LINE];
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    while (fgets(line, sizeof line, stdin)) {
        char *w[MAX_WORDS], *save;
        int n = 0;
        line[strcspn(line, "\n")] = 0;
        for (char *word = strtok_r(line, " ", &save); word && n < MAX_WORDS - 1; word = strtok_r(NULL, " ", &save))
            w[n++] = word;
        w[n] = NULL;
        out[0] = 0;
        int rc = step(w, n);
        if (rc != ZOK)
            snprintf(out, sizeof out, "err=%d", rc);
        puts(out);
        fflush(stdout);
    }
    return 0;
}
