/* A PKCS#11 module that passes every call on to SoftHSM but for one fault, which the environment
 * variable FAULT names. It counts logins in the file that LOGINS names. For tests only.
 *
 * Functions are known by their place in CK_FUNCTION_LIST (PKCS#11 2.40, section 3.6). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long ulong;
typedef ulong (*function)();

enum {
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
    CKR_FUNCTION_FAILED = 0x06, CKR_DEVICE_ERROR = 0x30, CKR_DEVICE_REMOVED = 0x32,
    CKR_MECHANISM_INVALID = 0x70, CKR_OPERATION_ACTIVE = 0x90
};
enum { SLOT_OFFSET = 1000 };

static struct list real, faulty;
static ulong stuck_session;

static int fault(const char *name) {
    const char *wanted = getenv("FAULT");
    return wanted && strcmp(wanted, name) == 0;
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
    ulong rv = real.call[DECRYPT](session, data, length, out, out_length);
    if (fault("accepts-anything") && out) {
        *out_length = 32;
        memset(out, 0, 32);
        return 0;
    }
    if (fault("short-seed") && rv == 0 && out) *out_length = 31;
    if (fault("stuck-session") && rv != 0) stuck_session = session;
    return rv;
}

ulong C_GetFunctionList(struct list **list) {
    void *module = dlopen(SOFTHSM, RTLD_NOW | RTLD_LOCAL);
    struct list *theirs;
    if (!module || ((function)dlsym(module, "C_GetFunctionList"))(&theirs) != 0) return CKR_FUNCTION_FAILED;
    real = faulty = *theirs;
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
