/* SPDX-License-Identifier: MIT */
/*
 * SD cards, apart from who drives their bus: the card layer (card.c, SD Physical Layer
 * Simplified Specification 6.00), and what a host controller has to be able to do for it.
 * sdhci.c is one; the RK3588's dwcmshc and dw_mmc will be others.
 */
#ifndef SD_H
#define SD_H

#include <stdbool.h>
#include <stdint.h>
#include <driver/block.h>
#include <driver/dma.h>

enum sd_response { SD_NO_RESPONSE, SD_R1, SD_R1B, SD_R2, SD_R3, SD_R6, SD_R7 };	/* §4.9 */

struct sd_command {
	uint8_t index;
	uint8_t response;		/* enum sd_response */
	bool read;			/* direction of data */
	bool stop;			/* several blocks: CMD12 behind them by itself (auto CMD12) */
	uint32_t argument;
	uint32_t block_bytes, blocks;	/* blocks 0: no data */
	const struct block_segment *segment;	/* stay until the command is done */
	uint32_t segments;
};

enum sd_error {
	SD_OK,
	SD_NO_ANSWER,			/* time-out of the response */
	SD_BAD_ANSWER,			/* CRC, end bit, index */
	SD_DATA_ERROR,			/* CRC, end bit, time-out, auto CMD12 */
	SD_DMA_ERROR,			/* the controller could not reach the memory */
	SD_STUCK,			/* the controller itself says nothing */
};

struct sd_result {
	enum sd_error error;
	/* R2: bits 127:8 of the register in response[3]:response[0], as bits 119:0; else response[0]. */
	uint32_t response[4];
};

struct sd_host_operations {
	/*
	 * Stop everything: afterwards no command is in progress and no DMA happens; power and
	 * clock are off.  False: the controller does not obey.
	 */
	bool (*reset)(void *host);
	bool (*card_is_there)(void *host);
	bool (*is_protected)(void *host);	/* the slot's switch */
	/* Power at 3.3 V and a clock of at most hz, one data line.  False: it cannot. */
	bool (*power_on)(void *host, uint32_t hz);
	bool (*set_clock)(void *host, uint32_t hz, bool high_speed);
	void (*set_width)(void *host, unsigned lines);
	/* Begin a command; one at a time. */
	void (*start)(void *host, const struct sd_command *command);
	/* True: it is done, *result says how. */
	bool (*poll)(void *host, struct sd_result *result);
	/* After an error: command and data lines as new (§3.10 of the host's specification).
	 * False: the controller does not obey. */
	bool (*recover)(void *host);
	void (*interrupt)(void *host);		/* withdraw its cause */
	/* It does not obey: whatever it still does, it reaches no memory from here on, for good. */
	void (*cut)(void *host);
};

struct sd_host_facts {
	struct block_limits limits;	/* of one command */
	uint32_t max_hz;
	bool four_lines, high_speed;
	bool has_interrupt;		/* otherwise the driver polls */
};

enum {					/* milliseconds and microseconds */
	SD_POWER_MS = 2,		/* after power-on, §6.4.1 */
	SD_OP_COND_MS = 1500,		/* §4.2.3 says one second */
	SD_OP_COND_STEP_MS = 5,
	SD_BUSY_MS = 1500,
	SD_CARD_LOOK_MS = 500,		/* is there a card? */
	SD_POLL_US = 50,		/* without interrupts, at first */
	SD_POLL_MS = 20,		/* at most */
	SD_POLL_SHARE = 8,
	SD_RETRIES = 2,			/* of a transfer, before the card is identified anew */
	SD_IDENTIFICATIONS = 3,		/* in a row without success, until it counts as no card */
};

/* The card's life.  Names of commands: §4.7.4. */
enum sd_state {
	SD_ABSENT,
	SD_POWERING,
	SD_GO_IDLE,			/* CMD0 */
	SD_IF_COND,			/* CMD8: a card of version 2? */
	SD_OP_COND_APP, SD_OP_COND,	/* CMD55, ACMD41 until it is ready */
	SD_OP_COND_WAIT,
	SD_CID, SD_RCA, SD_CSD,		/* CMD2, CMD3, CMD9 */
	SD_SELECT,			/* CMD7 */
	SD_BLOCK_LENGTH,		/* CMD16 */
	SD_SCR_APP, SD_SCR,		/* CMD55, ACMD51 */
	SD_WIDTH_APP, SD_WIDTH,		/* CMD55, ACMD6 */
	SD_SPEED_ASK, SD_SPEED_SET,	/* CMD6 */
	SD_IDLE,			/* ready, nothing to do */
	SD_MOVING,			/* CMD17, 18, 24, 25 */
	SD_STOPPING,			/* after an error: CMD12 */
	SD_ASKING,			/* CMD13, until it is ready again */
	SD_UNUSABLE,			/* a card that we cannot use, until it is taken out */
	SD_HOST_BROKEN,			/* for good */
};

struct sd_card {
	const struct sd_host_operations *host_op;
	void *host;
	struct sd_host_facts host_facts;
	struct block_server *server;
	struct dma_region *dma;
	enum sd_state state;
	bool waiting;			/* a command is at the host */
	uint64_t deadline, look_after;	/* ticks */
	uint64_t sent_ticks;		/* when the command went to the host */
	unsigned identifications;
	/* What identifying told. */
	bool version_2, by_block;	/* addresses are blocks: SDHC, SDXC */
	uint32_t rca;			/* in bits 31:16 */
	uint32_t cid[4], csd[4];
	uint8_t scr[8];
	bool four_lines, high_speed;
	uint8_t *buffer;		/* 64 bytes for SCR and switch status */
	uint64_t buffer_io;
	struct block_segment buffer_segment;
	struct sd_command command;
	/* The transfer. */
	struct block_command transfer;
	uint32_t tag;
	unsigned retries;
	struct block_device facts;
};

/* Take memory; the card is looked for in sd_operations.poll.  The host was reset.  False: no memory. */
bool sd_start(struct sd_card *c, struct block_server *server, const struct sd_host_operations *op, void *host,
    const struct sd_host_facts *facts, struct dma_region *dma);

extern const struct block_operations sd_operations;	/* of a struct sd_card */

#endif
