/* What ThreadSanitizer has to know of the standard library, which comes without instrumentation: the
 * happens-before edges that std makes in functions of its own. The linker puts these wrappers in the place
 * of those functions (--wrap); `.ci/sanitize` gives their mangled names. Each tells no more than std promises.
 */
#include <stdbool.h>
#include <stdint.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);

/* Mutex::lock finds the mutex held: what the holder before did comes before. (An uncontended lock, and every
 * unlock, are inlined, and so instrumented.) */
void REAL(LOCK_CONTENDED)(void *mutex);
void WRAP(LOCK_CONTENDED)(void *mutex) {
    REAL(LOCK_CONTENDED)(mutex);
    __tsan_acquire(mutex);
}

/* A Condvar unlocks the mutex and locks it again. */
void REAL(CONDVAR_WAIT)(void *condvar, void *mutex);
void WRAP(CONDVAR_WAIT)(void *condvar, void *mutex) {
    __tsan_release(mutex);
    REAL(CONDVAR_WAIT)(condvar, mutex);
    __tsan_acquire(mutex);
}

bool REAL(CONDVAR_WAIT_TIMEOUT)(void *condvar, void *mutex, uint64_t secs, uint32_t nanos);
bool WRAP(CONDVAR_WAIT_TIMEOUT)(void *condvar, void *mutex, uint64_t secs, uint32_t nanos) {
    __tsan_release(mutex);
    bool notified = REAL(CONDVAR_WAIT_TIMEOUT)(condvar, mutex, secs, nanos);
    __tsan_acquire(mutex);
    return notified;
}

/* Once: what the one that ran did comes before every return. */
void REAL(ONCE_CALL)(void *once, bool ignore_poison, void *closure, void *vtable, void *caller);
void WRAP(ONCE_CALL)(void *once, bool ignore_poison, void *closure, void *vtable, void *caller) {
    REAL(ONCE_CALL)(once, ignore_poison, closure, vtable, caller);
    __tsan_release(once);
    __tsan_acquire(once);
}

/* A scope waits for the threads in it, which count themselves down when they are done. The count is the first
 * field, or else the next. */
void REAL(SCOPE_DONE)(uint64_t *scope, bool panicked);
void WRAP(SCOPE_DONE)(uint64_t *scope, bool panicked) {
    __tsan_release(&scope[0]);
    __tsan_release(&scope[1]);
    REAL(SCOPE_DONE)(scope, panicked);
}

/* Arc counts down with Release, and an Acquire *fence* before it frees, which ThreadSanitizer does not
 * understand. A count that goes down with Release takes the Acquire along here. Nothing in the crate itself
 * counts down with Release. */
uint64_t REAL(FETCH_SUB)(volatile uint64_t *counter, uint64_t by, int order);
uint64_t WRAP(FETCH_SUB)(volatile uint64_t *counter, uint64_t by, int order) {
    return REAL(FETCH_SUB)(counter, by, order == __ATOMIC_RELEASE ? __ATOMIC_ACQ_REL : order);
}
