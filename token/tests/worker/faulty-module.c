/* A PKCS#11 module that passes every call on to SoftHSM but for one fault, which the environment
 * variable FAULT names. It counts logins in the file that LOGINS names. For tests only.
 *
 * Functions are known by their place in CK_FUNCTION_LIST (PKCS#11 2.40, section 3.6). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>

typedef unsigned long ulong;
typedef ulong (*function)();

enum {
    FINALIZE = 1,
    GET_SLOT_LIST = 4,
    GET_TOKEN_INFO = 6,
    OPEN_SESSION = 12,
    CLOSE_SESSION = 13,
    LOGIN = 18,
    DESTROY_OBJECT = 22,
    GET_ATTRIBUTE_VALUE = 24,
    ENCRYPT_INIT = 29,
    DECRYPT_INIT = 33,
    DECRYPT = 34,
    FUNCTIONS = 68
};

struct list { unsigned char version[2]; function call[FUNCTIONS]; };
struct mechanism { ulong type; void *parameter; ulong length; };
struct attribute { ulong type; void *value; ulong length; };
struct token_info { unsigned char names[96]; ulong flags; };

enum { CKA_VALUE = 0x11, CKA_EXTRACTABLE = 0x162, CKM_AES_CBC = 0x1082, CKM_AES_GCM = 0x1087 };
enum {
    CKR_HOST_MEMORY = 0x02, CKR_FUNCTION_FAILED = 0x06, CKR_DEVICE_ERROR = 0x30, CKR_DEVICE_REMOVED = 0x32,
    CKR_MECHANISM_INVALID = 0x70, CKR_OPERATION_ACTIVE = 0x90
};
enum { SLOT_OFFSET = 1000 };

static struct list real, faulty;
static ulong stuck_session;

static int fault(const char *name) {
    const char *wanted = getenv("FAULT");
    return wanted && strcmp(wanted, name) == 0;
}

static unsigned char *pin_stays, *seed_stays;

/* Copies that nobody wipes: one that stays until the next, one that was freed, and one on the stack. */
static __attribute__((noinline)) void leave_copies(const unsigned char *secret, ulong length, unsigned char **stays) {
    volatile unsigned char on_stack[256];
    free(*stays);
    volatile unsigned char *kept = malloc(length), *freed = malloc(length);
    *stays = (unsigned char *)kept;
    if (!kept || !freed) return;
    for (ulong i = 0; i < length && i < sizeof on_stack; i++) on_stack[i] = kept[i] = freed[i] = secret[i];
    free((void *)freed);
}

/* Whether an address lies in secret memory, as the kernel tells. */
static int is_secret(const void *address) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    int found = 0;
    while (maps && fgets(line, sizeof line, maps)) {
        uintptr_t from, to;
        if (sscanf(line, "%lx-%lx", &from, &to) == 2 && (uintptr_t)address >= from && (uintptr_t)address < to)
            found = strstr(line, "secretmem") != NULL;
    }
    if (maps) fclose(maps);
    return found;
}

static void *allocate_somewhere(void *unused) {
    (void)unused;
    return strdup("made by a thread");
}

#define CHECK(what) if (!(what)) { fprintf(stderr, "not true: %s\n", #what); return 0; }

/* What a module may expect of its process. */
static int checks(void) {
    int on_stack = 0;
    CHECK(is_secret(&on_stack));
    CHECK(!is_secret(&real)); /* the control */

    for (size_t bytes = 0; bytes < 5000; bytes = bytes * 2 + 1) {
        unsigned char *block = malloc(bytes);
        CHECK(block && is_secret(block) && (uintptr_t)block % 16 == 0 && malloc_usable_size(block) >= bytes);
        memset(block, 0xA5, bytes);
        block = realloc(block, bytes + 3000);
        CHECK(block && is_secret(block));
        for (size_t i = 0; i < bytes; i++) CHECK(block[i] == 0xA5);
        free(block);
        block = calloc(bytes, 3);
        CHECK(block && is_secret(block));
        for (size_t i = 0; i < bytes * 3; i++) CHECK(block[i] == 0);
        free(block);
    }
    for (size_t align = sizeof(void *); align <= 65536; align *= 2) {
        void *a = NULL;
        CHECK(posix_memalign(&a, align, 100) == 0);
        void *of[] = {a, memalign(align, 100), aligned_alloc(align, 100)};
        for (int i = 0; i < 3; i++) {
            CHECK(of[i] && is_secret(of[i]) && (uintptr_t)of[i] % align == 0);
            memset(of[i], 0xA5, 100);
            of[i] = realloc(of[i], 10000);
            CHECK(of[i] && ((unsigned char *)of[i])[99] == 0xA5);
            free(of[i]);
        }
    }
    void *odd = NULL;
    CHECK(posix_memalign(&odd, 24, 1) == EINVAL);
    volatile size_t huge = SIZE_MAX / 2;
    errno = 0;
    CHECK(malloc(huge) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(calloc(huge, 3) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(reallocarray(NULL, huge, 3) == NULL && errno == ENOMEM);
    char *copy = strdup("a copy"), *line = NULL;
    CHECK(is_secret(copy) && asprintf(&line, "%s", copy) > 0 && is_secret(line));
    free(copy);
    free(line);

    pthread_t thread;
    void *made = NULL;
    CHECK(pthread_create(&thread, NULL, allocate_somewhere, NULL) == 0 && pthread_join(thread, &made) == 0);
    CHECK(is_secret(made));
    free(made);

    char *nothing[] = {NULL};
    CHECK(execve("/bin/true", nothing, nothing) == -1 && errno == EPERM);
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1 && errno == EPERM);
    return 1;
}

struct decryption { ulong session, length, *out_length, rv; unsigned char *data, *out; };

static void *decrypt_in_thread(void *argument) {
    struct decryption *of = argument;
    of->rv = real.call[DECRYPT](of->session, of->data, of->length, of->out, of->out_length);
    return NULL;
}

static pthread_t busy;
static volatile int is_over;

static void *stay_busy(void *unused) {
    while (!is_over) {
        free(malloc(100));
        usleep(1000);
    }
    return unused;
}

static ulong finalize(void *reserved) {
    is_over = 1;
    if (fault("threads")) pthread_join(busy, NULL);
    return real.call[FINALIZE](reserved);
}

static ulong moved(ulong slot) { return fault("moved-slots") ? slot - SLOT_OFFSET : slot; }

static ulong get_slot_list(unsigned char present, ulong *slots, ulong *count) {
    ulong rv = real.call[GET_SLOT_LIST](present, slots, count);
    if (rv == 0 && slots && fault("moved-slots"))
        for (ulong i = 0; i < *count; i++) slots[i] += SLOT_OFFSET;
    return rv;
}

static ulong get_token_info(ulong slot, struct token_info *info) {
    if (fault("unreadable-token")) return CKR_DEVICE_ERROR;
    ulong rv = real.call[GET_TOKEN_INFO](moved(slot), info);
    if (fault("final-try")) info->flags |= 0x20000;
    if (fault("pin-locked")) info->flags |= 0x40000;
    return rv;
}

static ulong open_session(ulong slot, ulong flags, void *application, void *notify, ulong *session) {
    return real.call[OPEN_SESSION](moved(slot), flags, application, notify, session);
}

static ulong close_session(ulong session) {
    if (session == stuck_session) stuck_session = 0;
    return real.call[CLOSE_SESSION](session);
}

static ulong login(ulong session, ulong user, unsigned char *pin, ulong length) {
    const char *path = getenv("LOGINS");
    FILE *logins = path ? fopen(path, "a") : NULL;
    if (logins) {
        fputs("login\n", logins);
        fclose(logins);
    }
    if (fault("leaves-copies")) leave_copies(pin, length, &pin_stays);
    return real.call[LOGIN](session, user, pin, length);
}

static ulong destroy_object(ulong session, ulong object) {
    if (fault("extractable-for-ever")) return CKR_FUNCTION_FAILED;
    return real.call[DESTROY_OBJECT](session, object);
}

static ulong get_attribute_value(ulong session, ulong object, struct attribute *attributes, ulong count) {
    if (fault("gives-its-value") && count == 1 && attributes[0].type == CKA_VALUE) {
        attributes[0].length = 32;
        if (attributes[0].value) memset(attributes[0].value, 'A', 32);
        return 0;
    }
    ulong rv = real.call[GET_ATTRIBUTE_VALUE](session, object, attributes, count);
    if (fault("extractable") || fault("extractable-for-ever"))
        for (ulong i = 0; i < count; i++)
            if (attributes[i].type == CKA_EXTRACTABLE) *(unsigned char *)attributes[i].value = 1;
    return rv;
}

static int refuses(struct mechanism *mechanism) {
    return (fault("no-gcm") && mechanism->type == CKM_AES_GCM) || fault("no-aes");
}

static ulong encrypt_init(ulong session, struct mechanism *mechanism, ulong key) {
    if (refuses(mechanism)) return CKR_MECHANISM_INVALID;
    if (stuck_session && session == stuck_session) return CKR_OPERATION_ACTIVE;
    return real.call[ENCRYPT_INIT](session, mechanism, key);
}

static ulong decrypt_init(ulong session, struct mechanism *mechanism, ulong key) {
    if (fault("removed")) return CKR_DEVICE_REMOVED;
    if (refuses(mechanism)) return CKR_MECHANISM_INVALID;
    if (stuck_session && session == stuck_session) return CKR_OPERATION_ACTIVE;
    return real.call[DECRYPT_INIT](session, mechanism, key);
}

static ulong decrypt(ulong session, unsigned char *data, ulong length, unsigned char *out, ulong *out_length) {
    if (fault("broken-device")) return CKR_DEVICE_ERROR;
    if (fault("greedy")) {
        while (malloc(65536)) {}
        return CKR_HOST_MEMORY;
    }
    if (fault("greedy-then-broken")) {
        static int was_greedy = 0;
        static void *volatile wanted;
        if (was_greedy) return CKR_DEVICE_ERROR;
        if (length != 0 && out) {
            wanted = malloc((size_t)1 << 30);
            free(wanted);
            was_greedy = 1;
        }
    }
    if (fault("threads")) {
        struct decryption of = {session, length, out_length, CKR_FUNCTION_FAILED, data, out};
        pthread_t thread;
        if (pthread_create(&thread, NULL, decrypt_in_thread, &of) != 0) return CKR_FUNCTION_FAILED;
        pthread_join(thread, NULL);
        return of.rv;
    }
    ulong rv = real.call[DECRYPT](session, data, length, out, out_length);
    if (fault("accepts-anything") && out) {
        *out_length = 32;
        memset(out, 0, 32);
        return 0;
    }
    if (fault("leaves-copies") && rv == 0 && out) leave_copies(out, *out_length, &seed_stays);
    if (fault("short-seed") && rv == 0 && out) *out_length = 31;
    if (fault("stuck-session") && rv != 0) stuck_session = session;
    return rv;
}

ulong C_GetFunctionList(struct list **list) {
    void *module = dlopen(SOFTHSM, RTLD_NOW | RTLD_LOCAL);
    struct list *theirs;
    if (!module || ((function)dlsym(module, "C_GetFunctionList"))(&theirs) != 0) return CKR_FUNCTION_FAILED;
    real = faulty = *theirs;
    if (fault("threads") && pthread_create(&busy, NULL, stay_busy, NULL) != 0) return CKR_FUNCTION_FAILED;
    if (fault("checks") && !checks()) return CKR_FUNCTION_FAILED;
    faulty.call[FINALIZE] = (function)finalize;
    faulty.call[GET_SLOT_LIST] = (function)get_slot_list;
    faulty.call[GET_TOKEN_INFO] = (function)get_token_info;
    faulty.call[OPEN_SESSION] = (function)open_session;
    faulty.call[CLOSE_SESSION] = (function)close_session;
    faulty.call[LOGIN] = (function)login;
    faulty.call[DESTROY_OBJECT] = (function)destroy_object;
    faulty.call[GET_ATTRIBUTE_VALUE] = (function)get_attribute_value;
    faulty.call[ENCRYPT_INIT] = (function)encrypt_init;
    faulty.call[DECRYPT_INIT] = (function)decrypt_init;
    faulty.call[DECRYPT] = (function)decrypt;
    *list = &faulty;
    return 0;
}
