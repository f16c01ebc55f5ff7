/* SPDX-License-Identifier: MIT */
/*
 * lscap: who may touch what, and whether system.conf says so.
 *
 *   main.c   what a person sees
 *   list.c   /proc/tessera/capabilities into records          (pure)
 *   diff.c   records against system.conf                       (pure)
 */
#ifndef LSCAP_H
#define LSCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../init/conf.h"

enum { WORD = 24, RECORDS_MAX = 2048 };

/* One line of the list (linuxabi/proc/capabilities.c); "" for "-". */
struct record {
	char holder[WORD], place[WORD], purpose[WORD], type[WORD], rights[WORD];
	char target[WORD], name[WORD];
	unsigned line, slot, count;
	uint64_t badge, bytes, address, physical;
};

struct list {
	unsigned count;
	struct record record[RECORDS_MAX];
};

/* false: `line` (from 1) is none, or one too many. */
bool list_read(struct list *list, const char *text, unsigned *line);

/* Is there a record of this holder: does it run? */
bool list_holder(const struct list *list, const char *name);

/*
 * Tell what is held and not given (given null: no line gives it), and what is
 * given and not held (held null).  Returns how many differences there are.
 */
struct difference {
	const struct record *held;
	const char *holder, *purpose, *target, *name;	/* of what is not held */
	unsigned line;					/* that gives it */
	const char *why;
};
typedef void difference_fn(const struct difference *d, void *arg);
unsigned diff(const struct list *list, const struct conf *conf, difference_fn *tell, void *arg);

#endif
