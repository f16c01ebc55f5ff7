/* SPDX-License-Identifier: MIT */
/*
 * Terminals: line discipline, job control, console channel, ptys.  Owner: linuxabi/tty.
 */
#ifndef LX_TTY_H
#define LX_TTY_H

#include "fs.h"

struct tty;

void tty_init(void);			/* /dev/tty, /dev/console, /dev/ttyAMA0, /dev/ptmx, devpts */
void console_channel_init(uint64_t stream_virt);	/* struct stream of world_info.console */
void console_channel_interrupt(void);	/* WORLD_BIT_CONSOLE, interrupt context */
/* The session leader is gone: SIGHUP, SIGCONT to the foreground group, and let go of the terminal.
 * Called by process exit without locks. */
void tty_session_leader_exit(struct process *);
uint64_t tty_dev(const struct tty *);	/* rdev, for /proc/pid/stat; 0 for NULL */
int tty_foreground_group(const struct tty *);
void tty_get(struct tty *);
void tty_put(struct tty *);

#endif
