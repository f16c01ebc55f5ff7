/* SPDX-License-Identifier: MIT */
/*
 * Terminals, inside linuxabi/tty.
 *
 * One spinlock per terminal (tty->lock, rank 55, irq) protects everything in it
 * but the job-control fields that say otherwise: input arrives in interrupt
 * context, and ^C must work while nobody reads.  User memory is copied through
 * small buffers outside of the lock.
 */
#ifndef LX_TTY_INTERNAL_H
#define LX_TTY_INTERNAL_H

#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/termios.h>
#include <linux/fcntl.h>

#include "fs.h"
#include "task.h"
#include "tty.h"
#include "uaccess.h"

enum {
	TTY_INPUT = 4096,		/* N_TTY_BUF_SIZE */
	TTY_ECHO = 512,
	TTY_CHUNK = 256,		/* bytes moved under the lock at a time */
};

struct tty_ops {
	/* All with tty->lock held. */
	unsigned (*room)(struct tty *);			/* bytes that write takes now */
	void (*write)(struct tty *, const uint8_t *, unsigned);	/* at most room() */
	void (*want_room)(struct tty *);		/* wake write_wait when there is room */
	void (*unthrottle)(struct tty *);		/* input has room again */
	void (*flush_output)(struct tty *);		/* drop what has not left yet; may be NULL */
	unsigned (*pending)(struct tty *);		/* output bytes that have not left */
	void (*resized)(struct tty *);			/* may be NULL */
	void (*opened)(struct tty *);			/* may be NULL */
	void (*closed)(struct tty *);			/* the last file was closed; may be NULL */
};

struct tty {
	refcount_t refs;
	spinlock_t lock;
	const struct tty_ops *ops;
	void *driver;
	void (*release_driver)(void *);	/* with the last reference; may be NULL */
	uint64_t rdev;
	char name[16];

	struct termios2 termios;
	struct winsize winsize;
	unsigned open_count;
	unsigned hangups;		/* files opened before the last one are dead */
	bool exclusive;
	bool peer_closed;		/* pty: the master is gone */

	/* Input: [tail, canon) are complete lines (ICANON), [canon, head) is being
	 * edited.  Indices run modulo 2^32.  delimiter: bit set = ends a line. */
	uint8_t input[TTY_INPUT];
	uint64_t delimiter[TTY_INPUT / 64];
	uint32_t head, canon, tail;
	bool literal;			/* after LNEXT */
	bool erasing;			/* ECHOPRT state */
	struct waitq read_wait;

	/* Output. */
	unsigned column, line_start_column;
	bool stopped;			/* ^S or TCOOFF */
	uint8_t echo[TTY_ECHO];
	uint32_t echo_head, echo_tail;
	struct waitq write_wait;
	struct mutex write_lock;	/* rank 40: one writer's line is not broken by another's */

	/* Job control. */
	int session, group;		/* 0: none */
};

struct tty *tty_create(const char *name, const struct tty_ops *, void *driver, uint64_t rdev);

/* ldisc.c: tty->lock is held */
void ldisc_receive(struct tty *, const uint8_t *, unsigned);
unsigned ldisc_receive_room(const struct tty *);
unsigned ldisc_readable(const struct tty *);		/* bytes a read would get now */
unsigned ldisc_read(struct tty *, uint8_t *, unsigned, bool *line_end);
unsigned ldisc_write(struct tty *, const uint8_t *, unsigned);	/* OPOST; bytes taken */
void ldisc_flush_input(struct tty *);
void ldisc_flush_echo(struct tty *);
void ldisc_termios_changed(struct tty *, const struct termios2 *old);
void ldisc_break(struct tty *);

/* job.c */
long tty_check_background(struct tty *, int sig);	/* SIGTTOU, SIGTTIN: 0, -EIO, -ERESTARTSYS */
struct tty *tty_current(void);				/* controlling terminal with a reference, or NULL */
void tty_open_control(struct tty *, unsigned flags);	/* may become the controlling terminal */
long tty_ioctl_control(struct tty *, unsigned cmd, uint64_t arg, bool master);	/* -ENOIOCTLCMD_ if not one of its */
void tty_hangup(struct tty *);
void tty_resize(struct tty *, const struct winsize *);
enum { ENOIOCTLCMD_ = 515 };

/* tty.c */
extern const struct file_ops tty_fops;
struct file_tty {		/* file->private_ */
	struct tty *tty;
	unsigned hangups;	/* tty->hangups at the open */
};
long tty_attach_file(struct tty *, struct file *);	/* takes a reference on success */
long tty_ioctl(struct tty *, unsigned cmd, uint64_t arg);

void pty_init(void);
void devpts_init(void);

/* pty.c for devpts.c: number -> slave, with a reference, or NULL. */
struct tty *pty_slave(unsigned number);
enum { PTY_MAX = 256, PTS_MAJOR = 136 };
/* devpts.c */
long devpts_add(unsigned number, struct tty *);
void devpts_remove(unsigned number);

#endif
