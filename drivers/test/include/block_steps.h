/* SPDX-License-Identifier: MIT */
/*
 * Comes before everything else in tests of block drivers (-include): each access to a shared
 * index or flag is a step at which whoever makes it may be killed.
 */
#ifndef BLOCK_STEPS_H
#define BLOCK_STEPS_H

#ifndef __cplusplus
void model_step(void);

#define __atomic_store_n(at, value, order) (model_step(), __atomic_store_n(at, value, order))
#define __atomic_load_n(at, order) (model_step(), __atomic_load_n(at, order))
#endif

#endif
