/* SPDX-License-Identifier: MIT */
/*
 * Devices, between device.c and the rest of init.
 */
#ifndef INIT_DEVICE_H
#define INIT_DEVICE_H

#include "grant.h"
#include "init.h"

/* IODevice and IOSpace of a component with `device pci`, at boot. */
enum error driver_prepare(struct component *c);

/* Start waiting for devmgr, if there is anything to wait for. */
void device_start(void);
/* It is known which devices there are: build who waited for that. */
void device_settle(void);
/* Does c belong to those that wait? */
bool device_waits(const struct component *c);
/* A message of devmgr; false: it was none, or not from it. */
bool device_message(const struct component *c, const struct msg *m);
/* Do what is due; ticks of the next deadline, 0: none. */
uint64_t device_deadlines(void);
/* Bits of init's Notification: devices that faulted. */
void device_fault_bits(uint64_t bits);
void device_fault(struct component *c);

/* For each life of a driver. */
void driver_unbind(struct component *c);
enum error give_pci(struct component *c, struct component_info *info, uint32_t *slot);
uint64_t driver_tables(const struct component *c);

/* The first `pieces` Frames of a component's heap, for all that it lends to. */
enum error lend_heap(struct component *c, unsigned pieces);

/* devmgr's own: configuration space, and what it has to know of the hosts. */
uint64_t config_tables(void);
enum error give_config(struct component *c, struct device_hosts *hosts);

#endif
