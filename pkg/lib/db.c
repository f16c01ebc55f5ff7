// SPDX-License-Identifier: MIT
/*
 * The database: what is installed, what is still to be renamed and deleted, what
 * was done when.  SQLite in WAL mode with synchronous=FULL: a commit that
 * returned is on the disk.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system.h"

enum { SCHEMA = 2 };
/* So long is waited for another pkg that writes its log into the database, as the last one to close it does. */
enum { BUSY_MS = 5000 };

static const char schema[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
    "CREATE TABLE package(name TEXT PRIMARY KEY, version TEXT, automatic INT, installed INT, header TEXT)"
    " WITHOUT ROWID;"
    "CREATE TABLE file(path TEXT PRIMARY KEY, package TEXT, type INT, mode INT, uid INT, gid INT, size INT,"
    " hash BLOB, target TEXT, config INT) WITHOUT ROWID;"
    "CREATE INDEX file_package ON file(package);"
    "CREATE TABLE folder(path TEXT, package TEXT, mode INT, uid INT, gid INT, PRIMARY KEY(path, package))"
    " WITHOUT ROWID;"
    "CREATE INDEX folder_package ON folder(package);"
    "CREATE TABLE pending(seq INTEGER PRIMARY KEY, op TEXT, path TEXT, stage INT, mode INT, uid INT, gid INT,"
    " inode INT, size INT, mtime INT);"
    "CREATE TABLE history(id INTEGER PRIMARY KEY, time INT, command TEXT);"
    "CREATE TABLE change(history INT, package TEXT, old TEXT, new TEXT, automatic INT);"
    "CREATE TABLE pristine(path TEXT, hash BLOB, content BLOB, PRIMARY KEY(path, hash)) WITHOUT ROWID;"
    "CREATE TABLE repo(name TEXT PRIMARY KEY, serial INT) WITHOUT ROWID;"
    "INSERT INTO meta VALUES('schema', '2');";

/*
 * Version 2 remembers what packages brought as configuration files (for merges)
 * and whether a package was asked for before each change (for the way back).
 */
static const char schema_1_to_2[] =
    "BEGIN IMMEDIATE;"
    "ALTER TABLE change ADD COLUMN automatic INT;"
    "CREATE TABLE pristine(path TEXT, hash BLOB, content BLOB, PRIMARY KEY(path, hash)) WITHOUT ROWID;"
    "UPDATE meta SET value = '2' WHERE key = 'schema';"
    "COMMIT";

/* SQLite calls it an I/O error when its index of the log (-shm) finds no room. */
static bool
out_of_space(struct root *r)
{
	int error = sqlite3_system_errno(r->db);

	return (sqlite3_errcode(r->db) & 0xff) == SQLITE_IOERR && (error == ENOSPC || error == EDQUOT);
}

int
db_error(struct root *r, struct fault *f)
{
	int code = sqlite3_errcode(r->db) & 0xff;
	const char *text = sqlite3_errmsg(r->db);

	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		return fault_set(f, PKG_CORRUPT, "the database %s/var/lib/pkg/db is damaged: %s", r->path, text);
	if (code == SQLITE_FULL || out_of_space(r))
		return fault_set(f, PKG_FAILED, "no space is left for the database %s/var/lib/pkg/db", r->path);
	return fault_set(f, PKG_FAILED, "database %s/var/lib/pkg/db: %s", r->path, text);
}

static void
bind(sqlite3_stmt *s, const char *types, va_list ap)
{
	for (int i = 1; *types != '\0'; types++, i++) {
		if (*types == 'i')
			sqlite3_bind_int64(s, i, va_arg(ap, int64_t));
		else if (*types == 's')
			sqlite3_bind_text(s, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
		else
			sqlite3_bind_blob(s, i, va_arg(ap, const void *), HASH_SIZE, SQLITE_TRANSIENT);
	}
}

sqlite3_stmt *
sql_query(struct root *r, const char *sql, const char *types, ...)
{
	sqlite3_stmt *s = NULL;
	va_list ap;

	if (sqlite3_prepare_v2(r->db, sql, -1, &s, NULL) != SQLITE_OK)
		return NULL;
	va_start(ap, types);
	bind(s, types, ap);
	va_end(ap);
	return s;
}

int
sql_run(struct root *r, struct fault *f, const char *sql, const char *types, ...)
{
	sqlite3_stmt *s = NULL;
	va_list ap;

	if (sqlite3_prepare_v2(r->db, sql, -1, &s, NULL) != SQLITE_OK)
		return db_error(r, f);
	va_start(ap, types);
	bind(s, types, ap);
	va_end(ap);
	int result = sqlite3_step(s);
	int status = result == SQLITE_DONE || result == SQLITE_ROW ? 0 : db_error(r, f);

	sqlite3_finalize(s);
	return status;
}

bool
sql_row(sqlite3_stmt *s)
{
	if (s == NULL)
		return false;
	if (sqlite3_step(s) == SQLITE_ROW)
		return true;
	sqlite3_finalize(s);
	return false;
}

bool
sql_ended(const struct root *r)
{
	int code = sqlite3_errcode(r->db);

	return code == SQLITE_OK || code == SQLITE_DONE;
}

const char *
sql_text(sqlite3_stmt *s, int column)
{
	const unsigned char *t = sqlite3_column_text(s, column);

	return t ? (const char *)t : "";
}

/* Is there a log with something in it? */
static bool
log_used(const char *path)
{
	char *wal = text_format("%s-wal", path);
	struct stat st;
	bool used = stat(wal, &st) == 0 && st.st_size != 0;

	free(wal);
	return used;
}

/* One thread uses a root, so SQLite needs no locks of its own. */
static int
open_reading(struct root *r, const char *path)
{
	char *uri = NULL;
	int result = sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);

	if (result == SQLITE_OK)
		result = sqlite3_busy_timeout(r->db, BUSY_MS);
	if (result == SQLITE_OK)
		result = sqlite3_exec(r->db, "SELECT 1 FROM meta", NULL, NULL, NULL);
	/* A folder that we may not write or that has no room, and no writer in it: the file does not change. */
	if ((result == SQLITE_CANTOPEN || (result == SQLITE_IOERR && out_of_space(r))) && !log_used(path)) {
		sqlite3_close(r->db);
		uri = text_format("file:%s?immutable=1", path);
		result = sqlite3_open_v2(uri, &r->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
	}
	free(uri);
	return result;
}

static int
schema_version(struct root *r)
{
	sqlite3_stmt *s = sql_query(r, "SELECT value FROM meta WHERE key = 'schema'", "");
	int version = s != NULL && sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int(s, 0) : 0;

	sqlite3_finalize(s);
	return version;
}

static int
bring_forward(struct root *r, struct fault *f)
{
	if (schema_version(r) != 1 || sqlite3_exec(r->db, schema_1_to_2, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	int status = db_error(r, f);

	sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
	return status;
}

static int
open_writing(struct root *r, const char *path, struct fault *f)
{
	if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK || sqlite3_busy_timeout(r->db, BUSY_MS) != SQLITE_OK ||
	    sqlite3_exec(r->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", NULL, NULL, NULL) != SQLITE_OK)
		return db_error(r, f);
	sqlite3_stmt *s = sql_query(r, "SELECT count(*) FROM sqlite_master WHERE name = 'meta'", "");
	bool empty = s != NULL && sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int(s, 0) == 0;

	if (s == NULL)
		return db_error(r, f);
	sqlite3_finalize(s);
	if (!empty)
		return bring_forward(r, f);
	if (sqlite3_exec(r->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(r->db, schema, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		return db_error(r, f);
	return 0;
}

int
db_open(struct root *r, bool write, struct fault *f)
{
	char *path = root_path(r, "var/lib/pkg/db");
	int status = 0;

	if (write)
		status = open_writing(r, path, f);
	else if (access(path, F_OK) == 0 && open_reading(r, path) != SQLITE_OK)
		status = db_error(r, f);
	free(path);
	if (status != 0 || r->db == NULL)
		return status;
	int version = schema_version(r);

	if (version == 0)
		return db_error(r, f);
	/* Reading needs nothing of what version 2 added. */
	return version == SCHEMA || (version == 1 && !write) ? 0 :
	    fault_set(f, PKG_FAILED, "the database is of a newer pkg (version %d)", version);
}

void
db_entry(sqlite3_stmt *s, struct entry *e)
{
	*e = (struct entry){
		.path = (char *)sql_text(s, 0), .type = (enum entry_type)sqlite3_column_int(s, 1),
		.mode = (unsigned)sqlite3_column_int(s, 2), .uid = (unsigned)sqlite3_column_int(s, 3),
		.gid = (unsigned)sqlite3_column_int(s, 4), .size = (uint64_t)sqlite3_column_int64(s, 5),
		.config = sqlite3_column_int(s, 8) != 0,
	};
	if (sqlite3_column_bytes(s, 6) == HASH_SIZE)
		memcpy(e->hash, sqlite3_column_blob(s, 6), HASH_SIZE);
	if (e->type == ENTRY_LINK)
		e->target = (char *)sql_text(s, 7);
}

static void
add_entry(struct manifest *m, sqlite3_stmt *s)
{
	if ((m->entry_count & (m->entry_count - 1)) == 0)
		m->entries = mem_grow(m->entries, m->entry_count ? 2 * m->entry_count : 1, sizeof(*m->entries));
	struct entry *e = &m->entries[m->entry_count++];

	db_entry(s, e);
	e->path = text_dup(e->path);
	e->target = text_dup(e->target);
}

int
db_package(struct root *r, const char *name, bool entries, struct manifest *m, struct fault *f)
{
	sqlite3_stmt *s = r->db ? sql_query(r, "SELECT header FROM package WHERE name = ?", "s", name) : NULL;

	memset(m, 0, sizeof(*m));
	if (s == NULL || sqlite3_step(s) != SQLITE_ROW) {
		sqlite3_finalize(s);
		return fault_set(f, PKG_NOTHING, "%s is not installed", name);
	}
	const char *header = sql_text(s, 0);
	int status = manifest_parse(m, header, strlen(header), MANIFEST_HEADER, name, f);

	sqlite3_finalize(s);
	if (status != 0 || !entries)
		return status;
	s = sql_query(r, "SELECT " DB_FILE " FROM file WHERE package = ?1 UNION ALL "
	    "SELECT " DB_FOLDER " FROM folder WHERE package = ?1 ORDER BY 1", "s", name);
	if (s == NULL)
		return db_error(r, f);
	while (sql_row(s))
		add_entry(m, s);
	return sql_ended(r) ? 0 : db_error(r, f);
}

bool
db_is_automatic(struct root *r, const char *name)
{
	sqlite3_stmt *s = sql_query(r, "SELECT automatic FROM package WHERE name = ?", "s", name);
	bool automatic = s != NULL && sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int(s, 0) != 0;

	sqlite3_finalize(s);
	return automatic;
}

int
pristine_put(struct root *r, const char *path, const uint8_t hash[HASH_SIZE], const struct buffer *content, struct fault *f)
{
	sqlite3_stmt *s = sql_query(r, "INSERT OR IGNORE INTO pristine VALUES(?,?,?)", "sb", path, hash);

	if (s == NULL)
		return db_error(r, f);
	sqlite3_bind_blob64(s, 3, content->data, content->length, SQLITE_STATIC);
	int status = sqlite3_step(s) == SQLITE_DONE ? 0 : db_error(r, f);

	sqlite3_finalize(s);
	return status;
}

bool
pristine_get(struct root *r, const char *path, const uint8_t hash[HASH_SIZE], struct buffer *content)
{
	sqlite3_stmt *s = sql_query(r, "SELECT content FROM pristine WHERE path = ? AND hash = ?", "sb", path, hash);
	bool there = s != NULL && sqlite3_step(s) == SQLITE_ROW;

	if (there)
		buffer_add(content, sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0));
	sqlite3_finalize(s);
	return there;
}
