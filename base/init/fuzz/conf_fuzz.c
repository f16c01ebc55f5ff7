/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: any bytes are either a configuration whose indices are all
 * in range, or an error with a reason.
 */
#include <stdlib.h>
#include <string.h>
#include <proto/component.h>
#include "../conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool x)
{
	if (!x)
		abort();
}

static void
check_conf(const struct conf *conf)
{
	must(conf->component_count > 0 && conf->component_count <= CONF_MAX_COMPONENTS);
	must(conf->channel_count <= CONF_MAX_CHANNELS);
	for (unsigned i = 0; i < conf->channel_count; i++) {
		const struct conf_channel *c = &conf->channel[i];

		must(c->client == CONF_INIT || (unsigned)c->client < conf->component_count);
		must((unsigned)c->server < conf->component_count);
		must(memchr(c->name, 0, sizeof c->name) != NULL);
		must(memchr(c->part, 0, sizeof c->part) != NULL);
		must(c->windows < 1u << IO_WINDOWS && (c->windows & 1) == 0);
	}
	must(conf->lend_count <= CONF_MAX_LENDS);
	for (unsigned i = 0; i < conf->lend_count; i++) {
		const struct conf_lend *l = &conf->lend[i];

		must((unsigned)l->from < conf->component_count && l->from != l->to);
		must((unsigned)l->to < conf->component_count);
		must(conf->component[l->from].window > 0);
		must(conf->component[l->from].window < IO_WINDOWS);
		must(conf->component[l->to].pci.wanted);
	}
	for (unsigned i = 0; i < conf->component_count; i++) {
		const struct conf_component *c = &conf->component[i];

		must(memchr(c->name, 0, sizeof c->name) != NULL);
		must(memchr(c->args, 0, sizeof c->args) != NULL);
		must(c->pci.device_count <= CONF_MAX_PCI_IDS);
		must(c->dma == 0 || (c->pci.wanted && c->dma <= c->memory / 2));
		must(c->image_count > 0 && c->image_count <= CONF_MAX_IMAGES);
		for (unsigned k = 0; k < c->kill_count; k++)
			must((unsigned)c->kill[k] < conf->component_count);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf conf;
	struct conf_error error;

	if (conf_parse(&conf, (const char *)data, size, &error))
		check_conf(&conf);
	else
		must(error.reason[0] != '\0' && strlen(error.reason) < sizeof error.reason);
	return 0;
}
