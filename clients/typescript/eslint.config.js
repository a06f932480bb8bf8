import tseslint from "typescript-eslint";

export default tseslint.config(
    { ignores: ["dist/", ".build/", "src/gen/", "node_modules/", "eslint.config.js"] },
    tseslint.configs.strictTypeChecked,
    tseslint.configs.stylisticTypeChecked,
    {
        languageOptions: {
            parserOptions: { project: ["./tsconfig.json", "./tsconfig.conformance.json", "./tsconfig.tools.json"] },
        },
        linterOptions: { reportUnusedDisableDirectives: "error" },
        rules: {
            eqeqeq: "error",
            "max-lines": ["error", 300],
            "max-len": ["error", { code: 120, ignoreUrls: true }],
            "@typescript-eslint/consistent-type-imports": "error",
            "@typescript-eslint/explicit-module-boundary-types": "error",
            "@typescript-eslint/no-explicit-any": "error",
            "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
            // An empty environment variable counts as none.
            "@typescript-eslint/prefer-nullish-coalescing": [
                "error",
                { ignorePrimitives: { string: true, number: true } },
            ],
            // `noPropertyAccessFromIndexSignature` of the compiler wants the brackets.
            "@typescript-eslint/dot-notation": "off",
        },
    },
    {
        files: ["tests/**"],
        rules: {
            "@typescript-eslint/no-floating-promises": [
                "error",
                {
                    allowForKnownSafeCalls: [
                        { from: "package", package: "node:test", name: ["test", "describe", "it", "suite"] },
                    ],
                },
            ],
        },
    },
);
