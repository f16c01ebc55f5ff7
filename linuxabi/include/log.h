/* SPDX-License-Identifier: MIT */
/*
 * The personality's log as syslog(2) and /dev/kmsg see it: a ring of bytes.  Each
 * record is one line "<level>[seconds.micros] text\n".  Owner: linuxabi/lib.
 */
#ifndef LX_LOG_H
#define LX_LOG_H

#include "kernel.h"

/* Bytes ever written; positions below log_first() are gone. */
uint64_t log_end(void);
uint64_t log_first(void);		/* start of a record */
/* Copies at most n bytes from *pos on into buf and advances; skips what is gone. */
size_t log_read(uint64_t *pos, char *buf, size_t n);
size_t log_size(void);
extern struct waitq log_wait;		/* woken when something was logged (from klog's own context: not in interrupts) */

/* The stream channel of the log (world_info.log), NULL: none; its doorbell interrupt. */
void log_channel_init(void *stream);
void log_channel_interrupt(void);
/* Panic: the text goes out whatever is locked. */
void log_emergency(void);

#endif
