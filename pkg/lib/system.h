/* SPDX-License-Identifier: MIT */
/*
 * A root and what is installed in it: the database, repositories, the solver
 * and transactions.  How a transaction is all or nothing stands at the head of
 * transaction.c.
 */
#ifndef PKG_SYSTEM_H
#define PKG_SYSTEM_H

#include <sqlite3.h>

#include "package.h"

/*
 * What a long command does at the moment; text is a package or a sentence.  done
 * of total are packages, but for PROGRESS_BYTES, which tells of all that is fetched.
 */
enum progress { PROGRESS_FETCH, PROGRESS_BYTES, PROGRESS_STAGE, PROGRESS_REMOVE, PROGRESS_COMMIT, PROGRESS_NOTE };
typedef void progress_fn(void *context, enum progress what, const char *text, uint64_t done, uint64_t total);

struct root {
	char *path;		/* without a slash at its end; "" is / */
	int fd;			/* of the root */
	int stage_fd;		/* of var/lib/pkg/stage, or -1 when only reading */
	int lock_fd;		/* holds the lock of this root while writing */
	sqlite3 *db;		/* NULL: nothing was ever installed here */
	char *arch;
	struct keys keys;
	char boot_id[64];	/* changes with each boot; "" if unknown */
	progress_fn *progress;	/* may be NULL */
	void *progress_context;
	/* The folder that disk_parent opened last. */
	char *parent_path;
	int parent_fd;
	char *missing_path;	/* a folder that it found missing, or NULL */
	bool privileged;	/* files get the owners that packages say */
};

struct root_options {
	const char *path;	/* NULL: / */
	const char *arch;	/* NULL: what the root was made for, or etc/pkg/arch, or this machine's */
	const char *boot_id;	/* NULL: the machine's; tests give another one */
	bool write;		/* takes the lock and completes what was interrupted */
	progress_fn *progress;
	void *progress_context;
};

int root_open(struct root *r, const struct root_options *o, struct fault *f);
void root_close(struct root *r);
char *root_path(const struct root *r, const char *below);	/* for messages and plain files */
void root_note(const struct root *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Set by a signal; asked before the commit, never after it. */
extern volatile int pkg_interrupted;

/* ---- disk.c: paths of packages below the root, never through a link ---- */

/*
 * The folder a path lies in (borrowed until the next call) and its last
 * component.  -1 and errno: ENOENT a folder is missing, ENOTDIR one is a link or
 * a file.
 */
int disk_parent(struct root *r, const char *path, const char **name);
void disk_forget(struct root *r);	/* after folders were removed, or others could have changed them */
void disk_folder_made(struct root *r);	/* by us */

/* ---- db.c ---- */

/*
 * Statements with arguments: types has a letter for each ?, i int64_t,
 * s const char * or NULL, b 32 bytes or NULL.
 */
int sql_run(struct root *r, struct fault *f, const char *sql, const char *types, ...);
sqlite3_stmt *sql_query(struct root *r, const char *sql, const char *types, ...);
bool sql_row(sqlite3_stmt *s);		/* false at the end: and then s is finalized */
bool sql_ended(const struct root *r);	/* right after that: there were no more rows; else they could not be read */
const char *sql_text(sqlite3_stmt *s, int column);	/* never NULL */

int db_open(struct root *r, bool write, struct fault *f);
int db_error(struct root *r, struct fault *f);
/* PKG_NOTHING if it is not installed. */
int db_package(struct root *r, const char *name, bool entries, struct manifest *m, struct fault *f);
/* The columns from which db_entry makes an entry, whose texts live as long as the row. */
#define DB_FILE "path, type, mode, uid, gid, size, hash, target, config"
#define DB_FOLDER "path, 100, mode, uid, gid, 0, NULL, NULL, 0"
void db_entry(sqlite3_stmt *s, struct entry *e);
bool db_is_automatic(struct root *r, const char *name);
/* What packages brought as configuration files, as the base of merges. */
int pristine_put(struct root *r, const char *path, const uint8_t hash[HASH_SIZE], const struct buffer *content, struct fault *f);
bool pristine_get(struct root *r, const char *path, const uint8_t hash[HASH_SIZE], struct buffer *content);

/* ---- repositories ---- */

struct repo {
	char *name, *url;
	bool local;		/* a folder: read in place */
	char *folder;		/* of index and packages, or of the cache */
	struct index index;
};
struct repos {
	struct repo *items;
	size_t count;
};
/* Reads etc/pkg/repos and every index; refresh: asks remote ones for newer. */
int repos_load(struct root *r, struct repos *repos, bool refresh, struct fault *f);
/* The same for those who only want to look around: what cannot be read is empty. */
int repos_load_any(struct root *r, struct repos *repos, struct fault *f);
void repos_free(struct repos *repos);
char *repo_path(const struct repo *repo, const struct manifest *m);	/* where the package's file is to be */

/* Only fetch.c knows libcurl. */
struct fetch {
	char *url, *path;
	const char *name;	/* for the progress, or NULL */
	uint64_t max;		/* bytes */
};
/* Fetches all, several at once; a PATH.part that is there is continued. */
int fetch_all(struct root *r, struct fetch *items, size_t count, struct fault *f);

/* ---- solver ---- */

enum request_kind { REQUEST_INSTALL, REQUEST_REMOVE, REQUEST_UPGRADE, REQUEST_AUTOREMOVE };
struct local_package {
	const char *path;
	struct manifest m;
};
struct request {
	enum request_kind kind;
	struct list names;	/* names or relations; of an upgrade: none is all */
	struct local_package *locals;	/* files to be installed */
	size_t local_count;
	bool cascade;		/* a removal takes what needs it along */
};

struct step {
	char *name, *old_version, *new_version;	/* one of the versions may be NULL */
	bool automatic;		/* nobody asked for it by name */
	bool was_automatic;	/* filled by transaction_run */
	bool checked;		/* by plan_fetch: its file is what the index names */
	const struct manifest *offer;	/* of an index or a local file; NULL: removal */
	const struct repo *repo;
	const char *local_path;
	/* Filled by transaction_run. */
	struct manifest old;
	struct package_file *package;
	const struct manifest *new;
};
struct found {
	char *path;
	struct manifest m;
};
struct plan {
	struct step *steps;	/* by name */
	size_t count;
	struct list explicit;	/* installed already, and asked for by name now */
	struct list implicit;	/* installed already, and wanted by name no more */
	struct found *found;	/* package files that steps point to */
	size_t found_count;
};
int solve(struct root *r, const struct request *q, const struct repos *repos, struct plan *p, struct fault *f);
void plan_free(struct plan *p);
/*
 * Fetches the packages of a plan that are in remote repositories and not in the
 * cache.  A dry run only counts them: *missing.  Afterwards all others were read and
 * are those that the indexes name.
 */
int plan_fetch(struct root *r, struct plan *p, bool dry_run, size_t *missing, struct fault *f);
/*
 * Keeps a copy of a package file that was installed by name, where the way back
 * looks for it.  One that cannot be kept is no error: a note says so.
 */
void rollback_keep(struct root *r, const char *path, const struct manifest *m);
/* Back to before transaction `id` of the history; 0 is the last one.  Sets id's packages as they were. */
int rollback_plan(struct root *r, int64_t id, const struct repos *repos, struct plan *p, struct fault *f);

/* ---- transactions ---- */

/* Checks everything, then does it, whole or not at all.  command: for the history. */
int transaction_run(struct root *r, struct plan *p, const char *command, bool dry_run, struct fault *f);
/*
 * Completes a committed transaction and removes what an uncommitted one left.
 * root_open does it for writers.  *done: something had been left.
 */
int transaction_recover(struct root *r, bool *done, struct fault *f);
/* Removes the staged files; how many there were, or -1. */
int stage_empty(struct root *r, struct fault *f);
/* Renames, deletes and triggers of the pending list. */
int pending_apply(struct root *r, bool redo, struct fault *f);

/* ---- merge.c ---- */

enum { MERGE_MAX = 256 << 10 };	/* bytes of a configuration file that is merged */
/* Changes of both sides in *out; false: they touch each other, or are no texts. */
bool merge_texts(struct buffer *out, const struct buffer *base, const struct buffer *mine, const struct buffer *theirs);

/* ---- verify ---- */

typedef void verify_fn(void *context, const char *package, const char *path, const char *what);
/* Calls back for each difference between database and disk; contents, which are read side by side, come a little later. */
int verify_package(struct root *r, const char *name, verify_fn *fn, void *context, struct fault *f);
/* The same for all that is installed; files come before folders, each by their paths. */
int verify_all(struct root *r, verify_fn *fn, void *context, struct fault *f);

#endif
