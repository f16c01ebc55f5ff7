// SPDX-License-Identifier: MIT
/*
 * Fetching by URL, the one file that knows libcurl.  Several files come at once.
 * What arrives is kept as FILE.part and continued there, also by a later run;
 * FILE appears whole.  What it is worth is decided by those who check its hash or
 * signature.
 *
 * An https server must show a certificate that an authority of the system vouches
 * for, or, if the root has etc/pkg/ca.crt, one of those in that file alone.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system.h"

enum { AT_ONCE = 6, WAIT_MS = 200 };

struct transfer {
	struct fetch *item;
	CURL *curl;
	FILE *file;
	char *part;
	uint64_t start;		/* bytes that were there already */
	uint64_t got;
	bool too_large;
	char why[CURL_ERROR_SIZE];	/* what the TLS library said */
};

struct fetcher {
	struct root *r;
	CURLM *multi;
	struct transfer at[AT_ONCE];
	uint64_t done, total;	/* bytes of all items; those that ended */
	char *authorities;	/* path of etc/pkg/ca.crt; NULL: the system's */
	struct fault *f;
};

static size_t
receive(char *data, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	size_t n = size * count;

	if (n > t->item->max - t->start - t->got) {
		t->too_large = true;
		return 0;	/* ends the transfer */
	}
	t->got += n;
	return fwrite(data, 1, n, t->file);
}

static void
show(struct fetcher *w)
{
	uint64_t bytes = w->done;

	for (int i = 0; i < AT_ONCE; i++)
		bytes += w->at[i].item ? w->at[i].start + w->at[i].got : 0;
	if (w->r->progress != NULL)
		w->r->progress(w->r->progress_context, PROGRESS_BYTES, "", bytes, w->total);
}

/* From where the last run ended; afresh: from the start. */
static int
begin(struct fetcher *w, struct transfer *t, struct fetch *item, bool afresh)
{
	struct stat st;

	*t = (struct transfer){.item = item, .part = text_format("%s.part", item->path)};
	if (!afresh && stat(t->part, &st) == 0 && st.st_size > 0 && (uint64_t)st.st_size < item->max)
		t->start = (uint64_t)st.st_size;
	t->file = fopen(t->part, t->start ? "ab" : "wb");
	if (t->file == NULL)
		return fault_errno(w->f, "cannot write %s", t->part);
	t->curl = curl_easy_init();
	if (t->curl == NULL)
		return fault_set(w->f, PKG_FAILED, "libcurl has no memory");
	curl_easy_setopt(t->curl, CURLOPT_URL, item->url);
	curl_easy_setopt(t->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(t->curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(t->curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(t->curl, CURLOPT_MAXREDIRS, 8L);
	curl_easy_setopt(t->curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->curl, CURLOPT_CONNECTTIMEOUT, 20L);
	curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_LIMIT, 100L);
	curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_TIME, 30L);
	curl_easy_setopt(t->curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->start);
	curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->curl, CURLOPT_PRIVATE, t);
	curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, t->why);
	if (w->authorities != NULL)
		curl_easy_setopt(t->curl, CURLOPT_CAINFO, w->authorities);
	if (curl_multi_add_handle(w->multi, t->curl) != CURLM_OK)
		return fault_set(w->f, PKG_FAILED, "libcurl does not start a transfer");
	return 0;
}

/* Lets go of it; what came stays in the part, unless that is nothing. */
static int
end(struct fetcher *w, struct transfer *t)
{
	struct stat st;
	int status = 0;

	if (t->curl != NULL) {
		curl_multi_remove_handle(w->multi, t->curl);
		curl_easy_cleanup(t->curl);
	}
	if (t->file != NULL && fclose(t->file) != 0)
		status = fault_errno(w->f, "cannot write %s", t->part);
	if (t->part != NULL && stat(t->part, &st) == 0 && st.st_size == 0)
		unlink(t->part);
	free(t->part);
	*t = (struct transfer){0};
	return status;
}

/* Each TLS library has words of its own for what can be wrong with a certificate. */
static const struct {
	const char *words;
	const char *sentence;
} certificate_faults[] = {
	{"not correctly signed", "nobody whom this system trusts vouches for it; is this the right server?"},
	{"local issuer", "nobody whom this system trusts vouches for it; is this the right server?"},
	{"self-signed", "nobody whom this system trusts vouches for it; is this the right server?"},
	{"self signed", "nobody whom this system trusts vouches for it; is this the right server?"},
	{"issuer is unknown", "nobody whom this system trusts vouches for it; is this the right server?"},
	{"(CN)", "it is for another host name; is the address in etc/pkg/repos right?"},
	{"subject name", "it is for another host name; is the address in etc/pkg/repos right?"},
	{"host name", "it is for another host name; is the address in etc/pkg/repos right?"},
	{"hostname", "it is for another host name; is the address in etc/pkg/repos right?"},
	{"expired", "it has expired; tell who keeps the server, if the clock here is right"},
	{"in the future", "it is not valid yet; is the clock here right?"},
	{"not yet valid", "it is not valid yet; is the clock here right?"},
};

static int
bad_certificate(struct fetcher *w, const struct transfer *t)
{
	size_t n = strcspn(t->why, "\n");

	for (size_t i = 0; i < sizeof(certificate_faults) / sizeof(certificate_faults[0]); i++) {
		if (strstr(t->why, certificate_faults[i].words) != NULL)
			return fault_set(w->f, PKG_UNTRUSTED, "cannot fetch %s: the server's certificate is not accepted: %s",
			    t->item->url, certificate_faults[i].sentence);
	}
	return fault_set(w->f, PKG_UNTRUSTED, "cannot fetch %s: the server's certificate is not accepted (%.*s)", t->item->url,
	    (int)n, t->why);
}

static int
failed(struct fetcher *w, const struct transfer *t, CURLcode code)
{
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return bad_certificate(w, t);
	if (code == CURLE_SSL_CACERT_BADFILE)
		return fault_set(w->f, PKG_FAILED, "cannot fetch %s: %s holds no certificates of authorities that can be read",
		    t->item->url, w->authorities ? w->authorities : "the system's file (package ca-certificates)");
	const char *why = t->too_large ? "it is larger than it should be" :
	    code == CURLE_WRITE_ERROR && errno != 0 ? strerror(errno) :
	    code == CURLE_HTTP_RETURNED_ERROR && t->why[0] != '\0' ? t->why : curl_easy_strerror(code);

	return fault_set(w->f, PKG_FAILED, "cannot fetch %s: %s", t->item->url, why);
}

static int
finish(struct fetcher *w, struct transfer *t, CURLcode code)
{
	struct fetch *item = t->item;
	bool resumed = t->start != 0;
	uint64_t bytes = t->start + t->got;

	/* A server that cannot continue: once more from the start. */
	if (resumed && (code == CURLE_RANGE_ERROR || code == CURLE_HTTP_RETURNED_ERROR)) {
		int status = end(w, t);

		return status ? status : begin(w, t, item, true);
	}
	int status = code == CURLE_OK ? 0 : failed(w, t, code);
	bool useless = t->too_large;
	char *part = text_dup(t->part);
	int closed = end(w, t);

	if (status == 0)
		status = closed;
	/* An empty file is one, too. */
	if (status == 0 && rename(part, item->path) != 0 && (bytes != 0 || file_replace(item->path, "", 0, 0644, w->f) != 0))
		status = fault_errno(w->f, "cannot rename %s", part);
	if (useless)
		unlink(part);
	free(part);
	w->done += bytes;
	return status;
}

static int
reap(struct fetcher *w)
{
	CURLMsg *m;
	int left, status = 0;

	while (status == 0 && (m = curl_multi_info_read(w->multi, &left)) != NULL) {
		struct transfer *t;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		status = finish(w, t, m->data.result);
	}
	return status;
}

/* Fills the free places; *busy: how many are taken then. */
static int
fill(struct fetcher *w, struct fetch *items, size_t count, size_t *next, unsigned *busy)
{
	int status = 0;

	*busy = 0;
	for (int i = 0; i < AT_ONCE && status == 0; i++) {
		if (w->at[i].item == NULL && *next < count) {
			if (w->r->progress != NULL && items[*next].name != NULL)
				w->r->progress(w->r->progress_context, PROGRESS_FETCH, items[*next].name, *next, count);
			status = begin(w, &w->at[i], &items[(*next)++], false);
		}
		*busy += w->at[i].item != NULL;
	}
	return status;
}

static int
run(struct fetcher *w, struct fetch *items, size_t count)
{
	size_t next = 0;
	unsigned busy;
	int status, running;

	while ((status = fill(w, items, count, &next, &busy)) == 0 && busy != 0) {
		errno = 0;
		if (curl_multi_perform(w->multi, &running) != CURLM_OK)
			return fault_set(w->f, PKG_FAILED, "libcurl cannot go on");
		status = reap(w);
		if (status != 0)
			return status;
		if (pkg_interrupted)
			return fault_set(w->f, PKG_FAILED, "interrupted; nothing was changed, and what was fetched is kept");
		show(w);
		curl_multi_poll(w->multi, NULL, 0, WAIT_MS, NULL);
	}
	return status;
}

int
fetch_all(struct root *r, struct fetch *items, size_t count, struct fault *f)
{
	struct fetcher w = {.r = r, .multi = curl_multi_init(), .f = f};

	if (w.multi == NULL)
		return fault_set(f, PKG_FAILED, "libcurl does not start");
	w.authorities = root_path(r, "etc/pkg/ca.crt");
	if (access(w.authorities, F_OK) != 0) {
		free(w.authorities);
		w.authorities = NULL;
	}
	for (size_t i = 0; i < count; i++)
		w.total += items[i].max;
	int status = run(&w, items, count);
	struct fault ignored;

	w.f = &ignored;
	for (int i = 0; i < AT_ONCE; i++)
		end(&w, &w.at[i]);
	curl_multi_cleanup(w.multi);
	free(w.authorities);
	return status;
}
