// SPDX-License-Identifier: MIT
/*
 * Making packages, repositories and keys.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

int
cmd_create(struct cmd *c)
{
	struct secret secret;
	struct utsname u;
	struct create make = {.folder = c->operands[0], .template = c->template, .output = c->output, .arch = c->arch};
	char *path = NULL;
	int status = 0;

	if (c->template == NULL)
		return fault_set(&c->f, PKG_USAGE, "create needs --template FILE");
	if (make.arch == NULL && uname(&u) == 0)
		make.arch = u.machine;
	if (c->key != NULL) {
		status = secret_load(&secret, c->key, &c->f);
		make.secret = &secret;
	}
	if (status == 0)
		status = package_create(&make, &path, &c->f);
	if (status == 0 && c->json) {
		fputs("{\"status\":0", c->out);
		json_field(c->out, false, "file", path);
		fputs("}\n", c->out);
	} else if (status == 0) {
		fprintf(c->out, "%s\n", path);
	}
	free(path);
	return status;
}

/* The time of an index is now, or SOURCE_DATE_EPOCH, for one that has to be the same each time. */
static int
index_time(uint64_t *now, struct fault *f)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");

	*now = (uint64_t)time(NULL);
	if (epoch != NULL && !number_parse(epoch, 10, UINT32_MAX, now))
		return fault_set(f, PKG_USAGE, "SOURCE_DATE_EPOCH is no number");
	return 0;
}

static int
repo_build(struct cmd *c)
{
	uint64_t now;
	struct index made;
	struct secret secret;
	int status;

	if (c->key == NULL || c->count != 2)
		return fault_set(&c->f, PKG_USAGE, "usage: pkg repo build DIR --key FILE [--days N]");
	status = secret_load(&secret, c->key, &c->f);
	if (status != 0)
		return status;
	status = index_time(&now, &c->f);
	if (status != 0)
		return status;
	status = index_build(c->operands[1], &secret, now, c->days, &made, &c->f);
	if (status == 0)
		fprintf(c->out, c->json ? "{\"status\":0,\"packages\":%zu,\"serial\":%llu}\n" : "%zu packages, serial %llu\n", made.count,
		    (unsigned long long)made.serial);
	index_free(&made);
	return status;
}

static int
repo_list(struct cmd *c)
{
	struct repos repos = {0};
	int status = cmd_open(c, false);

	if (status == 0)
		status = repos_load(&c->root, &repos, false, &c->f);
	if (status == 0 && c->json)
		putc('[', c->out);
	for (size_t i = 0; i < repos.count && status == 0; i++) {
		const struct repo *r = &repos.items[i];
		time_t expires = (time_t)r->index.expires;
		char date[32];

		strftime(date, sizeof(date), "%Y-%m-%d", gmtime(&expires));
		if (c->json) {
			fputs(i == 0 ? "{" : ",{", c->out);
			json_field(c->out, true, "name", r->name);
			json_field(c->out, false, "place", r->url);
			json_field(c->out, false, "expires", date);
			fprintf(c->out, ",\"serial\":%llu,\"packages\":%zu}", (unsigned long long)r->index.serial, r->index.count);
		} else {
			fprintf(c->out, "%s %s: %zu packages, serial %llu, good until %s\n", r->name, r->url, r->index.count,
			    (unsigned long long)r->index.serial, date);
		}
	}
	if (status == 0 && c->json)
		fputs("]\n", c->out);
	repos_free(&repos);
	return status;
}

static int
make_etc(struct cmd *c)
{
	char *folder = root_path(&c->root, "etc/pkg/keys");
	int status = folders_make(folder) == 0 ? 0 : fault_errno(&c->f, "cannot make %s", folder);

	free(folder);
	return status;
}

/* Two of one name would share cache and serials, and each make an old index of the other's. */
static bool
has_repo(const struct buffer *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *l = list->data; l != NULL; l = strchr(l, '\n')) {
		l += strspn(l, " \t\n");
		if (strncmp(l, name, n) == 0 && (l[n] == ' ' || l[n] == '\t'))
			return true;
	}
	return false;
}

static int
repo_add(struct cmd *c)
{
	struct buffer b = {0};
	int status;

	if (c->count != 3 || !name_is_valid(c->operands[1]) || strpbrk(c->operands[2], " \t\n") != NULL)
		return fault_set(&c->f, PKG_USAGE, "usage: pkg repo add NAME PLACE");
	status = cmd_open(c, true);
	if (status == 0)
		status = make_etc(c);
	if (status != 0)
		return status;
	char *path = root_path(&c->root, "etc/pkg/repos");

	if (access(path, F_OK) == 0)
		status = file_read(path, 1 << 20, &b, &c->f);
	if (status == 0 && has_repo(&b, c->operands[1]))
		status = fault_set(&c->f, PKG_CONFLICT, "%s has a repository %s already", path, c->operands[1]);
	if (status == 0 && b.length != 0 && b.data[b.length - 1] != '\n')
		buffer_text(&b, "\n");
	buffer_format(&b, "%s %s\n", c->operands[1], c->operands[2]);
	if (status == 0)
		status = file_replace(path, b.data, b.length, 0644, &c->f);
	buffer_free(&b);
	free(path);
	return status;
}

/* Whether the file is there with another content: a key of that name is trusted already, and is not this one. */
static bool
is_other_key(const char *path, const struct key *key)
{
	struct key there = {0};
	struct fault ignored;
	bool other = access(path, F_OK) == 0 && (key_read(&there, path, &ignored) != 0 ||
	    memcmp(there.public_key, key->public_key, KEY_PUBLIC) != 0);

	free(there.name);
	return other;
}

static int
keys_add(struct cmd *c, const char *file)
{
	struct key key = {0};
	struct buffer b = {0};
	int status = cmd_open(c, true);

	if (status == 0)
		status = key_read(&key, file, &c->f);
	if (status == 0)
		status = make_etc(c);
	if (status == 0)
		status = file_read(file, 4096, &b, &c->f);
	if (status == 0) {
		char *folder = root_path(&c->root, "etc/pkg/keys");
		size_t n = strlen(key.name);
		bool pub = n > 4 && strcmp(key.name + n - 4, ".pub") == 0;
		char *path = text_format("%s/%s%s", folder, key.name, pub ? "" : ".pub");

		if (is_other_key(path, &key))
			status = fault_set(&c->f, PKG_CONFLICT, "%s is another key already; give the new one's file another name", path);
		else
			status = file_replace(path, b.data, b.length, 0644, &c->f);
		free(path);
		free(folder);
	}
	free(key.name);
	buffer_free(&b);
	return status;
}

static int
keys_list(struct cmd *c)
{
	int status = cmd_open(c, false);

	if (status == 0 && c->json)
		putc('[', c->out);
	for (size_t i = 0; i < c->root.keys.count && status == 0; i++) {
		char id[2 * KEY_ID + 1];

		hex_encode(id, c->root.keys.items[i].id, KEY_ID);
		if (c->json) {
			fputs(i == 0 ? "{" : ",{", c->out);
			json_field(c->out, true, "id", id);
			json_field(c->out, false, "name", c->root.keys.items[i].name);
			putc('}', c->out);
		} else {
			fprintf(c->out, "%s %s\n", id, c->root.keys.items[i].name);
		}
	}
	if (status == 0 && c->json)
		fputs("]\n", c->out);
	return status;
}

int
cmd_repo(struct cmd *c)
{
	const char *what = c->operands[0];

	if (strcmp(what, "build") == 0)
		return repo_build(c);
	if (strcmp(what, "list") == 0 && c->count == 1)
		return repo_list(c);
	if (strcmp(what, "add") == 0)
		return repo_add(c);
	if (strcmp(what, "keys") == 0 && c->count == 1)
		return keys_list(c);
	if (strcmp(what, "keys") == 0 && c->count == 3 && strcmp(c->operands[1], "new") == 0)
		return key_make(c->operands[2], &c->f);
	if (strcmp(what, "keys") == 0 && c->count == 3 && strcmp(c->operands[1], "add") == 0)
		return keys_add(c, c->operands[2]);
	return fault_set(&c->f, PKG_USAGE, "usage: pkg repo build DIR | list | add NAME PLACE | keys [new BASE | add FILE]");
}
