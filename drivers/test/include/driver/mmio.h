/* SPDX-License-Identifier: MIT */
/*
 * Stands before the real driver/mmio.h in tests on the build host: every access
 * goes to a register model.
 */
#ifndef DRIVER_MMIO_H
#define DRIVER_MMIO_H

#include <stdint.h>

uint32_t model_read(uintptr_t address, unsigned bytes);
void model_write(uintptr_t address, uint32_t value, unsigned bytes);

static inline uint32_t mmio_read32(uintptr_t a) { return model_read(a, 4); }
static inline void mmio_write32(uintptr_t a, uint32_t v) { model_write(a, v, 4); }
static inline uint16_t mmio_read16(uintptr_t a) { return (uint16_t)model_read(a, 2); }
static inline void mmio_write16(uintptr_t a, uint16_t v) { model_write(a, v, 2); }
static inline uint8_t mmio_read8(uintptr_t a) { return (uint8_t)model_read(a, 1); }
static inline void mmio_write8(uintptr_t a, uint8_t v) { model_write(a, v, 1); }

#endif
