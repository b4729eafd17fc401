import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// The mode "mock" builds the same window against a host that lives in the page, for browser tests.
export default defineConfig(({ mode }) => ({
  plugins: [svelte()],
  clearScreen: false,
  base: './',
  define: { __MOCK_HOST__: JSON.stringify(mode === 'mock' || mode === 'test') },
  server: { host: '127.0.0.1', port: 1420, strictPort: true },
  preview: { host: '127.0.0.1' },
  resolve: mode === 'test' ? { conditions: ['browser'] } : {},
  build: {
    target: ['es2022', 'safari15.4'],
    // Styles and images come from files: the content security policy takes no inline ones.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.ts', 'tests/unit/**/*.test.ts'],
    setupFiles: ['tests/setup.ts'],
  },
}));
