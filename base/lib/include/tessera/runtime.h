/* SPDX-License-Identifier: MIT */
/*
 * libtessera: what a native component stands on.  Start-up, its start record,
 * waiting for doorbells, time, logging, text formatting, the heap region and
 * cache maintenance.  No allocation, one thread, no hidden state but the
 * component's start record and its log.
 */
#ifndef TESSERA_RUNTIME_H
#define TESSERA_RUNTIME_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <proto/component.h>
#include <tessera/abi.h>
#include <tessera/ring.h>

/* ---- the component ------------------------------------------------------ */

/* The start record; valid from component_main on. */
extern const struct component_info *component;

/* What a component defines.  Its result is the exit status; 0 means done. */
int component_main(const struct component_info *info);

/* Tell the supervisor and end.  A status other than 0 is a failure. */
_Noreturn void component_exit(int status);

/* The index-th channel of a type and role, or a null pointer. */
const struct component_channel *component_channel(enum channel_type type, enum channel_role role,
    unsigned index);
/* The channel called name, or a null pointer. */
const struct component_channel *component_channel_named(const char *name);
/* Is `word` one of the blank-separated words of args? */
bool component_option(const char *word);
/* The same for the command line of the boot slot. */
bool cmdline_option(const char *word);

/* Attach to a stream or log channel; false: the Frame is not what it should be. */
bool channel_attach(const struct component_channel *channel, struct stream_end *end);

/* ---- doorbells and time ------------------------------------------------- */

/* Wait for bits of the own Notification; 0 if the deadline passed. */
uint64_t bell_wait(uint64_t deadline_ticks);
/* Ring a doorbell.  That its owner is gone is no error: it will look later. */
void bell_ring(uint32_t slot);

uint64_t time_ticks(void);
uint64_t time_ticks_of_ns(uint64_t ns);
uint64_t time_ns_of_ticks(uint64_t ticks);

/* ---- text --------------------------------------------------------------- */

/*
 * %s %c %d %i %u %x %X %p %%, with l, ll and z, a width, '-' and '0'.  The
 * result is always terminated; returns its length, cut to what fits.
 */
size_t format(char *to, size_t room, const char *text, ...) __attribute__((format(printf, 3, 4)));
size_t format_list(char *to, size_t room, const char *text, va_list list);

/*
 * One line to the log channel.  Never blocks: what does not fit is counted and
 * said later.  A line that begins with LOG_WARNING is shown even by a quiet
 * console.
 */
#define LOG_WARNING "!"
void log_line(const char *text, ...) __attribute__((format(printf, 1, 2)));
/* Raw bytes for the log; whole lines are up to the caller. */
size_t log_bytes(const void *bytes, size_t count);

/* ---- memory ------------------------------------------------------------- */

/* The component's heap region, all of it: who uses it divides it. */
void *heap_region(size_t *bytes);
/* So much of it is in use: the most that it ever was is published (proto/usage.h). */
void heap_in_use(size_t bytes);

/* Clean a range to the point of coherency (for who reads past the caches). */
void dcache_clean(const void *start, size_t bytes);

/* What our own code guarantees.  Not for what peers or devices say. */
_Noreturn void assertion_failed(const char *expression, const char *file, int line);
#define assert_that(x) ((x) ? (void)0 : assertion_failed(#x, __FILE__, __LINE__))

#endif
