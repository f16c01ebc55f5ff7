// SPDX-License-Identifier: MIT
/*
 * Fetching by URL, the one file that knows libcurl.  What arrives is kept as
 * FILE.part and continued there; FILE appears whole.  What it is worth is decided
 * by those who check its hash or signature.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system.h"

struct sink {
	FILE *file;
	uint64_t left;
};

static size_t
receive(char *data, size_t size, size_t count, void *context)
{
	struct sink *s = context;
	size_t n = size * count;

	if (n > s->left)
		return 0;	/* ends the transfer */
	s->left -= n;
	return fwrite(data, 1, n, s->file);
}

static CURLcode
transfer(const char *url, struct sink *s, curl_off_t from)
{
	CURL *c = curl_easy_init();
	CURLcode code;

	if (c == NULL)
		return CURLE_FAILED_INIT;
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, 8L);
	curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 20L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 100L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, 30L);
	curl_easy_setopt(c, CURLOPT_RESUME_FROM_LARGE, from);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, s);
	code = curl_easy_perform(c);
	curl_easy_cleanup(c);
	return code;
}

int
fetch_url(const char *url, const char *path, uint64_t max, struct fault *f)
{
	char *part = text_format("%s.part", path);
	struct stat st;
	uint64_t have = stat(part, &st) == 0 ? (uint64_t)st.st_size : 0;
	bool resume = have != 0 && have < max;
	struct sink s = {fopen(part, resume ? "ab" : "wb"), resume ? max - have : max};
	int status = 0;

	if (s.file == NULL) {
		status = fault_errno(f, "cannot write %s", part);
		free(part);
		return status;
	}
	CURLcode code = transfer(url, &s, resume ? (curl_off_t)have : 0);

	/* A server that cannot continue: once more from the start. */
	if (resume && (code == CURLE_RANGE_ERROR || code == CURLE_HTTP_RETURNED_ERROR)) {
		fclose(s.file);
		s = (struct sink){fopen(part, "wb"), max};
		code = s.file ? transfer(url, &s, 0) : CURLE_WRITE_ERROR;
	}
	if (code != CURLE_OK)
		status = fault_set(f, PKG_FAILED, "cannot fetch %s: %s", url,
		    code == CURLE_WRITE_ERROR && s.left < CURL_MAX_WRITE_SIZE ? "it is larger than it should be" :
		    curl_easy_strerror(code));
	if (s.file != NULL && fclose(s.file) != 0 && status == 0)
		status = fault_errno(f, "cannot write %s", part);
	if (status != 0 && stat(part, &st) == 0 && st.st_size == 0)
		unlink(part);	/* nothing came that could be continued */
	if (status == 0 && rename(part, path) != 0)
		status = fault_errno(f, "cannot rename %s", part);
	free(part);
	return status;
}
