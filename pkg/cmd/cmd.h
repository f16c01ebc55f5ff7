/* SPDX-License-Identifier: MIT */
/*
 * The pkg command: options that every command has, and how results are shown:
 * as lines for people and scripts, or with --json as one JSON value.
 */
#ifndef PKG_CMD_H
#define PKG_CMD_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../lib/system.h"

struct cmd {
	struct root root;
	const char *root_path, *arch;
	FILE *out;		/* stdout; with --json in memory until the command ended well */
	bool json, dry_run, yes, cascade, quiet;
	/* Of create and repo build. */
	const char *key, *output, *template;
	uint64_t days;
	int count;		/* operands */
	char **operands;
	struct list notes;	/* said during a transaction, for --json */
	bool bar;		/* a progress line stands on the terminal */
	char *fetch_name;	/* what is fetched, or NULL */
	struct timespec fetch_start;
	uint64_t fetch_before;	/* bytes that were there when it started */
	struct fault f;
};

int cmd_open(struct cmd *c, bool write);
/* Writes a JSON string; a byte that is no UTF-8 becomes U+FFFD. */
void json_string(FILE *out, const char *s);
/* ,"key":"value" or without the comma if first. */
void json_field(FILE *out, bool first, const char *key, const char *value);
void json_list(FILE *out, const char *key, const struct list *l);

/* change.c */
int cmd_install(struct cmd *c), cmd_remove(struct cmd *c), cmd_upgrade(struct cmd *c), cmd_autoremove(struct cmd *c);
int cmd_add(struct cmd *c), cmd_rollback(struct cmd *c), cmd_recover(struct cmd *c), cmd_clean(struct cmd *c);
/* query.c */
int cmd_search(struct cmd *c), cmd_info(struct cmd *c), cmd_files(struct cmd *c), cmd_owner(struct cmd *c);
int cmd_list(struct cmd *c), cmd_verify(struct cmd *c), cmd_audit(struct cmd *c), cmd_history(struct cmd *c);
int cmd_why(struct cmd *c);
/* make.c */
int cmd_create(struct cmd *c), cmd_repo(struct cmd *c);

#endif
