/* A chess board with at most one queen in each row, passed by value. */
#ifndef BENCH_BOARD_H
#define BENCH_BOARD_H

#include <stdbool.h>

enum {
    BOARD_MAX = 16
};

struct board {
    signed char column[BOARD_MAX]; /* of the queen in each row */
};

/** Whether no queen of the rows before attacks that square. */
static inline bool board_free(const struct board *b, int row, int column)
{
    for (int i = 0; i < row; i++) {
        const int d = b->column[i] - column;
        if (d == 0 || d == row - i || d == i - row)
            return false;
    }
    return true;
}

static inline struct board board_with(struct board b, int row, int column)
{
    b.column[row] = (signed char)column;
    return b;
}

#endif
