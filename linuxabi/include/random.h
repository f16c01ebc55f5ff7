/* SPDX-License-Identifier: MIT */
/* Beyond kernel.h's random_bytes.  Owner: linuxabi/lib. */
#ifndef LX_RANDOM_H
#define LX_RANDOM_H

#include "kernel.h"

struct world_info;
void random_init(const struct world_info *);
void chacha20_block(const uint32_t key[8], uint64_t counter, uint64_t nonce, uint32_t out[16]);

#endif
